"""Runs a program as a fresh process and prints what it took, as a line of JSON.

It is a process of its own because a new process inherits its parent's peak memory (getrusage(2) keeps it
across execve): this one is small.
"""

import json
import os
import subprocess
import sys
import time


def main() -> int:
    """`stopwatch.py LOG COMMAND...`: what the command writes goes to the file; its exit code is returned."""
    log, *command = sys.argv[1:]
    with open(log, "wb") as file:  # noqa: PTH123 - pathlib would make this process larger
        started = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
    # macOS counts bytes, Linux kilobytes.
    unit = 1024 if sys.platform == "linux" else 1024 * 1024
    cpu, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit
    print(json.dumps({"wall": wall, "cpu": cpu, "peak": peak}))
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())

"""Runs a program as a fresh process and prints what it took, as a line of JSON.

It is a process of its own because a new process inherits its parent's peak memory (getrusage(2) keeps it
across execve): this one is small. Linux gives it the processes that the program leaves behind, so that a Java
machine is counted that nobody waits for.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time

_PR_SET_CHILD_SUBREAPER = 36
_GRACE = 10.0
"""Seconds that what the program leaves behind has to end."""


def main() -> int:
    """`stopwatch.py LOG SECONDS COMMAND...`: what the command writes goes to the file; returns its exit code.

    After so many seconds the command is killed.
    """
    log, limit, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with open(log, "wb") as file:  # noqa: PTH123 - pathlib would make this process larger
        started = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )
        signal.signal(signal.SIGALRM, lambda *_: os.killpg(process.pid, signal.SIGKILL))
        signal.setitimer(signal.ITIMER_REAL, float(limit))
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        signal.setitimer(signal.ITIMER_REAL, _GRACE)
    cpu, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss
    while True:
        try:
            _, _, usage = os.wait4(-1, 0)
        except ChildProcessError:
            break
        cpu, peak = cpu + usage.ru_utime + usage.ru_stime, max(peak, usage.ru_maxrss)
    # macOS counts bytes, Linux kilobytes.
    unit = 1024 if sys.platform == "linux" else 1024 * 1024
    print(json.dumps({"wall": wall, "cpu": cpu, "peak": peak / unit}))
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())

"""The command line with epochs that fan out, however small: `python -m tests.crash.fanned_out TASKS run ...`.

On a laptop an epoch has several tasks only beyond 32 MB of input, and a round of kills has a few kB.
"""

import sys
from functools import partial

from tidegate import cli
from tidegate.epochs.layout import Limits


def main() -> int:
    tasks, *arguments = sys.argv[1:]
    cli.Limits = partial(Limits, small=0, task_bytes=1, tasks=int(tasks))  # type: ignore[assignment,attr-defined]
    return cli.main(arguments)


if __name__ == "__main__":
    sys.exit(main())

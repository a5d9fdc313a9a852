"""A worker process of the embedded runner: `python -m tidegate.runtime.worker PIPELINE INPUT OUTPUT STATE`.

Reads one task a line from standard input, runs it, and answers with one line. It ends when its input does.
"""

import json
import os
import sys
from pathlib import Path

from tidegate.epochs.result import Task
from tidegate.epochs.tasks import run_task
from tidegate.errors import TidegateError
from tidegate.plan import compile_plan
from tidegate.runtime.folders import Folders
from tidegate.runtime.loading import load_pipeline
from tidegate.runtime.workers import new_attempt


def main(reference: str, input_folder: str, output_folder: str, state_folder: str) -> None:
    """Serves tasks until standard input ends."""
    # What user functions print must not end up between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    plan = compile_plan(load_pipeline(reference))
    stores = Folders(Path(input_folder), Path(output_folder), Path(state_folder)).stores()
    for line in sys.stdin:
        try:
            run_task(plan, stores, Task(**json.loads(line)), new_attempt())
            answer: dict[str, str] = {}
        except TidegateError as error:
            answer = {"error": str(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])

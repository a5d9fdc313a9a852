"""A worker process of the embedded runner: `python -m tidegate.runtime.worker PIPELINE INPUT OUTPUT STATE`.

Reads one task a line from standard input, runs it, and answers with one line. It ends when its input does.
"""

import json
import os
import sys
import traceback
from pathlib import Path

from tidegate.epochs.result import Task
from tidegate.epochs.tasks import run_task
from tidegate.errors import TidegateError
from tidegate.expressions import FAILURES, first_line
from tidegate.plan import Plan, compile_plan
from tidegate.runtime.folders import Folders
from tidegate.runtime.loading import load_pipeline
from tidegate.runtime.workers import new_attempt


def main(reference: str, input_folder: str, output_folder: str, state_folder: str) -> None:
    """Serves tasks until standard input ends."""
    # What user functions print must not end up between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    folders = Folders(Path(input_folder), Path(output_folder), Path(state_folder))
    plan: Plan | None = None
    for line in sys.stdin:
        task, answer = Task(**json.loads(line)), dict[str, str]()
        try:
            # In here, so that a pipeline that cannot be loaded any more is an answer too.
            plan = plan or compile_plan(load_pipeline(reference))
            run_task(plan, folders.stores(), task, new_attempt())
        except TidegateError as error:
            answer["error"] = str(error)
        except FAILURES as error:
            # Trying again would not help, as it may where the process dies.
            traceback.print_exception(error)
            answer["error"] = (
                f"{task.stage} task {task.number} of epoch {task.epoch} failed: {type(error).__name__}: "
                f"{first_line(error)}; this is a fault of Tidegate's, please report it with what stands above"
            )
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""A worker process of the embedded runner: `python -m tidegate.runtime.worker PIPELINE INPUT OUTPUT STATE`.

Reads one task a line from standard input, runs it, and answers with one line. It ends when its input does, or
when nobody is left to hear its answer.
"""

import json
import os
import sys
from pathlib import Path

from tidegate.epochs.result import Task
from tidegate.epochs.tasks import run_task
from tidegate.errors import TidegateError
from tidegate.plan import Plan, compile_plan
from tidegate.runtime.failure import without_records
from tidegate.runtime.folders import Folders
from tidegate.runtime.loading import load_pipeline
from tidegate.runtime.meter import Meter
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
            with without_records(task):
                # In here, so that a pipeline that cannot be loaded any more is an answer too.
                plan = plan or compile_plan(load_pipeline(reference))
                meter = Meter()
                run_task(plan, meter.stores(folders.stores()), task, new_attempt(), meter)
        except TidegateError as error:
            # Trying again would not help, as it may where the process dies.
            answer["error"] = str(error)
        try:
            answers.write(json.dumps(answer) + "\n")
            answers.flush()
        except BrokenPipeError:
            # The runner is gone, and the next one finds what this task left. What is in the buffer still
            # must go somewhere when this process ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), answers.fileno())
            return


if __name__ == "__main__":
    main(*sys.argv[1:])

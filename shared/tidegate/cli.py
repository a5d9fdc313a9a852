"""The command line: `tidegate run`, `tidegate replay`, `tidegate stats`, `tidegate explain` and more."""

import argparse
import os
import re
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import tidegate
from tidegate.epochs.generation import named
from tidegate.epochs.layout import Limits
from tidegate.epochs.sweep import EPOCHS_KEPT
from tidegate.errors import PipelineError, TidegateError, UsageError
from tidegate.limits import MAX_BYTES_PER_EPOCH, MAX_FILES_PER_EPOCH
from tidegate.plan import Plan, compile_plan
from tidegate.runtime.buckets import bucket
from tidegate.runtime.embedded import open_runner
from tidegate.runtime.folders import Folders, state_of
from tidegate.runtime.loading import figures_in, load_file, load_pipeline, pipelines_in
from tidegate.runtime.replay import replay
from tidegate.runtime.report import Progress, summary, summary_of_replay
from tidegate.runtime.stats import Stats

if TYPE_CHECKING:
    from tidegate.runtime.deployed_replay import Repeated

USAGE = 2
FAILED = 1
INTERRUPTED = 130

PAPER = "pipelines.paper"
"""The package with the figures of the Dataflow Model paper, in Tidegate's repository."""

_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")

_PIPELINE = "a pipeline: module:name, a file, or file.py:name"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns its exit code: 0, 1 for a failure, 2 for a mistake of the caller's."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help(sys.stderr)
        return USAGE
    # SIGTERM ends a run as Ctrl-C does.
    signal.signal(signal.SIGTERM, _interrupt)
    # Polars has calls of the system begin anew after Ctrl-C, and a wait for a worker would never see it.
    signal.siginterrupt(signal.SIGINT, True)
    try:
        code: int = options.command(options)
        # Here, and not when the interpreter ends: a reader that has gone is no failure.
        sys.stdout.flush()
    except (UsageError, PipelineError) as error:
        print(f"tidegate: {error}", file=sys.stderr)
        return USAGE
    except TidegateError as error:
        print(f"tidegate: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("tidegate: stopped; run the same command again to go on", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; what was processed is safe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tidegate", description="Serverless stream processing.")
    parser.add_argument("--version", action="version", version=f"tidegate {tidegate.__version__}")
    parser.set_defaults(command=None)
    commands = parser.add_subparsers(metavar="COMMAND")

    _add_run(commands)

    again = commands.add_parser(
        "replay", help="build a pipeline's output and state anew from the input, and put them in place"
    )
    _add_folders(again, required=False)
    again.add_argument(
        "--stack", metavar="NAME", help="a deployment instead of folders: its functions do the replay"
    )
    again.add_argument(
        "--drain",
        action="store_true",
        help="no file will ever follow: read the input folder to its end and finish the stream, too",
    )
    again.add_argument(
        "--skip-missing",
        action="store_true",
        help="files that are gone or were changed since they were accepted become dead letters",
    )
    again.set_defaults(command=_replay)

    explain = commands.add_parser("explain", help="print a pipeline's stages")
    explain.add_argument("pipeline", metavar="PIPELINE", help=_PIPELINE)
    explain.set_defaults(command=_explain)

    compile_ = commands.add_parser("compile", help="write the plan documents of a folder's pipelines")
    compile_.add_argument(
        "folder", type=Path, metavar="FOLDER", help="a package of pipelines, such as pipelines/"
    )
    compile_.add_argument("--output", type=Path, required=True, metavar="DIR", help="where the documents go")
    compile_.set_defaults(command=_compile)

    _add_stats(commands)
    _add_figures(commands)
    return parser


def _add_figures(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    figures = commands.add_parser("figures", help="draw the figures of a package's modules as SVG")
    figures.add_argument(
        "package",
        nargs="?",
        default=PAPER,
        metavar="PACKAGE",
        help="a package whose modules have a `figure` (default: %(default)s, the Dataflow Model paper's)",
    )
    figures.add_argument("--output", type=Path, required=True, metavar="DIR", help="where the pictures go")
    figures.set_defaults(command=_figures)


def _add_run(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    run = commands.add_parser("run", help="run a pipeline on this machine, on files of a folder")
    _add_folders(run, required=True)
    run.add_argument("--follow", action="store_true", help="watch the input folder until Ctrl-C")
    run.add_argument(
        "--drain",
        action="store_true",
        help="no file will ever follow: at the end the watermark passes all windows, each gives its last "
        "pane, and the stream is finished",
    )
    run.add_argument(
        "--max-files-per-epoch",
        type=_positive,
        default=MAX_FILES_PER_EPOCH,
        metavar="N",
        help="files that one epoch takes at most (default: %(default)s)",
    )
    run.add_argument(
        "--max-bytes-per-epoch",
        type=_positive,
        default=MAX_BYTES_PER_EPOCH,
        metavar="N",
        help="bytes of input that one epoch takes at most; one file always fits (default: %(default)s)",
    )
    run.set_defaults(command=_run)


def _add_stats(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    stats = commands.add_parser("stats", help="print what the last epochs took: requests, bytes, seconds")
    stats.add_argument("pipeline", metavar="PIPELINE", help=_PIPELINE)
    place = stats.add_mutually_exclusive_group(required=True)
    place.add_argument("--output", type=Path, metavar="DIR", help="the folder of a run's panes")
    place.add_argument(
        "--state", type=Path, metavar="DIR", help="the folder of its state, if it was given one"
    )
    place.add_argument(
        "--bucket", type=_bucket_name, metavar="NAME", help="the bucket of state of a deployment"
    )
    stats.add_argument(
        "--epochs",
        type=_positive,
        default=EPOCHS_KEPT,
        metavar="N",
        help="epochs at most; older ones are swept (default: %(default)s)",
    )
    stats.set_defaults(command=_stats)


def _add_folders(command: argparse.ArgumentParser, *, required: bool) -> None:
    """What `run` and `replay` have in common."""
    command.add_argument("pipeline", metavar="PIPELINE", help=_PIPELINE)
    command.add_argument(
        "--input", type=Path, required=required, metavar="DIR", help="the folder of the input files"
    )
    command.add_argument(
        "--output", type=Path, required=required, metavar="DIR", help="the folder that panes go to"
    )
    command.add_argument(
        "--state", type=Path, metavar="DIR", help="the folder of the state (default: OUTPUT.state)"
    )
    command.add_argument(
        "--workers", type=_positive, metavar="N", help="tasks at a time (default: one a core)"
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return number


def _bucket_name(text: str) -> str:
    if not _BUCKET_NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no name of a bucket, which has 3 to 63 lower-case letters, digits, dots and "
            "hyphens; give the name alone, such as my-stack-state, without s3:// and without a folder"
        )
    return text


def _run(options: argparse.Namespace) -> int:
    if options.drain and options.follow:
        raise UsageError(
            "--drain says that no file will follow, and --follow waits for more; give one of them"
        )
    plan = compile_plan(load_pipeline(options.pipeline))
    folders = Folders.of(options.input, options.output, options.state)
    limits = Limits(bytes=options.max_bytes_per_epoch, files=options.max_files_per_epoch)
    started = time.monotonic()
    with (
        Progress(sys.stderr) as progress,
        open_runner(
            plan, options.pipeline, folders, limits=limits, watch=progress.show, workers=options.workers
        ) as runner,
    ):
        if options.follow:
            print(f"following {folders.input}; Ctrl-C stops", file=sys.stderr)
            try:
                manifest = runner.follow()
            except KeyboardInterrupt:
                manifest = runner.manifest()
        else:
            manifest = runner.run(drain=options.drain)
    seconds = time.monotonic() - started
    print(
        summary(
            manifest,
            progress.counters,
            folders,
            plan.outline(),
            ignored=runner.ignored,
            missing=runner.missing,
            seconds=seconds,
        )
    )
    return 0


def _replay(options: argparse.Namespace) -> int:
    plan = compile_plan(load_pipeline(options.pipeline))
    if options.stack is not None:
        return _replay_deployed(plan, options)
    if options.input is None or options.output is None:
        raise UsageError("say what to replay: folders, by --input and --output, or a deployment, by --stack")
    folders = Folders.of(options.input, options.output, options.state)
    started = time.monotonic()
    with Progress(sys.stderr) as progress:
        replayed = replay(
            plan,
            options.pipeline,
            folders,
            drain=options.drain,
            skip_missing=options.skip_missing,
            workers=options.workers,
            watch=progress.show,
        )
    print(
        summary_of_replay(
            replayed, progress.counters, folders, plan.outline(), seconds=time.monotonic() - started
        )
    )
    return 0


def _replay_deployed(plan: Plan, options: argparse.Namespace) -> int:
    # Here, for boto3 takes longer to import than all of this.
    from tidegate.runtime import deployed_replay  # noqa: PLC0415

    folders = (options.input, options.output, options.state, options.workers)
    if options.drain or any(each is not None for each in folders):
        raise UsageError("--stack replays a deployment: leave out the folders, --workers and --drain")
    control = deployed_replay.control_plane_of(options.stack, plan.outline())
    begun = deployed_replay.begin(control, skip_missing=options.skip_missing)
    print(
        f"generation {begun.generation} of {plan.name}: {begun.of:,} epochs to repeat; Ctrl-C stops looking, "
        "not the replay",
        file=sys.stderr,
    )
    for now in deployed_replay.watched(control, begun):
        print(_progress_of_deployed(now, options), file=sys.stderr)
    print(f"generation {begun.generation} counts from now on: {named(plan.outline().sink, begun.generation)}")
    return 0


def _progress_of_deployed(now: "Repeated", options: argparse.Namespace) -> str:
    if not now.still:
        return f"epoch {now.epochs:,} of {now.of:,}"
    return (
        f"still at epoch {now.epochs:,} of {now.of:,}: see whether executions of the state machine of "
        f"{options.stack} fail. If the deployed pipeline is another than {options.pipeline}, deploy it; "
        "the replay goes on with the next upload"
    )


def _stats(options: argparse.Namespace) -> int:
    name = load_pipeline(options.pipeline).name
    if options.bucket is not None:
        state = bucket({**os.environ, "BUCKET": options.bucket}, "BUCKET")
        stats = Stats.of(state, f"s3://{options.bucket}", name, options.epochs)
    else:
        stats = Stats.of_folder(options.state or state_of(options.output), name, options.epochs)
    print(stats.text())
    return 0


def _explain(options: argparse.Namespace) -> int:
    print(compile_plan(load_pipeline(options.pipeline)).explain())
    return 0


def _compile(options: argparse.Namespace) -> int:
    folder: Path = options.folder
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    sys.path.insert(0, str(folder.resolve().parent))
    options.output.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.glob("*.py")):
        if path.stem == "__init__":
            continue
        module = f"{folder.resolve().name}.{path.stem}"
        for name, pipeline in pipelines_in(load_file(path, module)).items():
            document = options.output / f"{module}.{name}.json"
            outline = compile_plan(pipeline).outline()
            if outline.bounded:
                raise UsageError(
                    f"{module}:{name} has a Perfect() watermark, and uploads never end by themselves: its "
                    "windows would never emit. Give it Marks(), whose producers say when they are done, or "
                    f"keep it out of {folder}"
                )
            document.write_text(outline.to_json())
            print(document)
    return 0


def _figures(options: argparse.Namespace) -> int:
    if options.package == PAPER and not Path(*PAPER.split(".")).is_dir():
        raise UsageError(
            "the paper's figures come with Tidegate's repository; run this at its root, or name a package"
        )
    options.output.mkdir(parents=True, exist_ok=True)
    for name, figure in figures_in(options.package).items():
        picture = options.output / f"{name}.svg"
        picture.write_text(figure.svg(), encoding="utf-8")
        print(picture)
    return 0

"""The window sum in Apache Beam: bounded files on the SDK's own runner."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.window import FixedWindows, TimestampedValue


def timestamped(line: str) -> TimestampedValue:
    event = json.loads(line)
    return TimestampedValue((event["key"], event["value"]), event["at"] / 1_000)


def total_of(pair: tuple[str, int], window: Any = beam.DoFn.WindowParam) -> str:
    started = datetime.fromtimestamp(int(window.start), UTC).isoformat()
    return json.dumps({"key": pair[0], "window_start": started, "total": pair[1]})


if __name__ == "__main__":
    events, answer = map(Path, sys.argv[1:])
    answer.mkdir(parents=True)
    with beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([])) as pipeline:
        (
            pipeline
            | beam.io.ReadFromText(str(events / "*.json"))
            | beam.Map(timestamped)
            | beam.WindowInto(FixedWindows(120))
            | beam.CombinePerKey(sum)
            | beam.Map(total_of)
            | beam.io.WriteToText(str(answer / "totals"), file_name_suffix=".json")
        )

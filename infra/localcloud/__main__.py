"""`python -m infra.localcloud`: a cloud to play with, until Ctrl-C."""

import argparse
import json
import signal
import sys
import threading
from pathlib import Path

from infra.localcloud.cloud import ROOT, LocalCloud

_GUIDE = """
The template is deployed, with the pipeline {pipeline}.

  export AWS_ENDPOINT_URL={endpoint} AWS_DEFAULT_REGION=us-east-1
  export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local

In another terminal, with these variables set, upload a file of {kind} records and watch the panes appear:

  aws s3 cp FILE s3://{input}/{prefix}/
  aws s3 ls --recursive s3://{output}/
  aws s3 cp s3://{output}/KEY -

or without the aws command:

  .venv/bin/python - <<'EOF'
  import boto3
  s3 = boto3.client("s3")
  s3.upload_file("FILE", "{input}", "{prefix}/FILE")
  for page in s3.get_paginator("list_objects_v2").paginate(Bucket="{output}"):
      for item in page.get("Contents", []):
          print(item["Key"], item["Size"])
  EOF

What happens inside:

  aws stepfunctions list-executions --state-machine-arn {machine}
  aws dynamodb scan --table-name {table}
  aws s3 ls --recursive s3://{state}/
  tail -f {logs}/*.log

Without effect here: {inert}.
infra/localcloud/README.md says what else differs from AWS.

Ctrl-C stops everything; nothing is kept.
"""


def main() -> int:
    """Starts the cloud, says what to type, and waits."""
    parser = argparse.ArgumentParser(prog="python -m infra.localcloud", description=__doc__)
    parser.add_argument(
        "--pipeline", default="pipelines.flights:pipeline", help="module:name (default: %(default)s)"
    )
    parser.add_argument(
        "--pipelines", type=Path, default=ROOT / "pipelines", help="folder of pipeline modules"
    )
    parser.add_argument("--port", type=int, default=4566, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--logs", type=Path, help="folder for the functions' logs (default: a temporary one)")
    arguments = parser.parse_args()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    cloud = LocalCloud(
        parameters={"Pipeline": arguments.pipeline},
        pipelines=arguments.pipelines.resolve(),
        port=arguments.port,
        logs=arguments.logs.resolve() if arguments.logs else None,
    )
    print("starting, this takes some seconds ...", flush=True)
    try:
        with cloud:
            print(_guide(cloud, arguments.pipeline), flush=True)
            stopped.wait()
            print("\nstopping ...", flush=True)
    except FileNotFoundError:
        print(f"{arguments.pipelines} has no pipeline {arguments.pipeline}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _guide(cloud: LocalCloud, pipeline: str) -> str:
    outputs = cloud.outputs
    document = cloud.layer / "tidegate_plans" / f"{pipeline.replace(':', '.')}.json"
    plan = json.loads(document.read_text(encoding="utf-8"))
    kinds = {line.split("(")[1].split(")")[0] for line in cloud.inert if line.endswith(")")}
    return _GUIDE.format(
        pipeline=pipeline,
        endpoint=cloud.endpoint,
        kind=plan["kind"],
        prefix=plan["prefix"],
        input=outputs["InputBucket"],
        output=outputs["OutputBucket"],
        state=outputs["StateBucket"],
        table=outputs["Table"],
        machine=outputs["EpochMachine"],
        logs=cloud.logs,
        inert=", ".join(sorted(kinds)) or "nothing",
    )


if __name__ == "__main__":
    sys.exit(main())

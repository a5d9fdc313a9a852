"""The process of the local cloud: moto's server, the functions, the pollers, and the deployed stack."""

import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler
from werkzeug.serving import BaseWSGIServer, make_server

from infra.localcloud import patches
from infra.localcloud.functions import FunctionPool
from infra.localcloud.lambda_api import LambdaApi
from infra.localcloud.layer import lay_out_layer, lay_out_runtime
from infra.localcloud.queue_poller import QueuePoller
from infra.localcloud.schedules import Schedules
from infra.localcloud.stack import deploy
from infra.localcloud.stacks_api import StacksApi
from infra.localcloud.template import REGION


def main() -> None:
    """Deploys what standard input asks for, reports on standard output, and serves until the input ends.

    The pipe is the leash: however the starting process ends, its end closes, and this process stops.
    """
    wanted = json.loads(sys.stdin.readline())
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    # An execution that fails is an ordinary event, and its history has the reason.
    logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": REGION,
    }
    with tempfile.TemporaryDirectory(prefix="localcloud-") as folder:
        logs = Path(wanted["logs"] or Path(folder) / "logs")
        logs.mkdir(parents=True, exist_ok=True)
        pool = FunctionPool(logs)
        stacks = StacksApi()
        server = _serve(wanted["port"], pool, stacks)
        endpoint = f"http://127.0.0.1:{server.port}"
        pollers: list[QueuePoller | Schedules] = []
        try:
            stack, pollers = _deploy(wanted, Path(folder), pool, endpoint)
            stacks.outputs[wanted["stack"]] = stack["outputs"]
            places = {"endpoint": endpoint, "logs": str(logs), "layer": str(Path(folder) / "layer")}
            sys.stdout.write(json.dumps({**places, **stack}) + "\n")
            sys.stdout.flush()
            sys.stdin.read()
        except (ValueError, FileNotFoundError, NotImplementedError, subprocess.CalledProcessError) as error:
            sys.exit(f"local cloud: {error}")
        finally:
            pool.close()
            for poller in pollers:
                poller.stop()
            server.shutdown()


def _serve(port: int, pool: FunctionPool, stacks: StacksApi) -> BaseWSGIServer:
    ours = {"awslambda": LambdaApi(pool), "cloudformation": stacks}

    def app(service: str) -> Any:
        return ours[service] if service in ours else patches.serialised(service)

    server = make_server(
        "127.0.0.1", port, DomainDispatcherApplication(app), threaded=True, request_handler=MotoRequestHandler
    )
    patches.apply(server.port)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


def _deploy(
    wanted: dict[str, Any], folder: Path, pool: FunctionPool, endpoint: str
) -> tuple[dict[str, Any], list[QueuePoller | Schedules]]:
    settings = Config(retries={"total_max_attempts": 1}, max_pool_connections=32)

    def client(service: str) -> Any:
        return boto3.client(service, endpoint_url=endpoint, region_name=REGION, config=settings)

    search_path = [lay_out_runtime(folder / "runtime")]
    if wanted["library"]:
        paths = {name: Path(wanted[name]) for name in ("library", "pipelines", "requirements")}
        search_path.insert(0, lay_out_layer(folder / "layer", **paths))
    stack = deploy(
        Path(wanted["template"]),
        wanted["parameters"],
        stack=wanted["stack"],
        endpoint=endpoint,
        client=client,
        pool=pool,
        search_path=tuple(search_path),
    )
    pollers: list[QueuePoller | Schedules] = [
        QueuePoller(source, client("sqs"), pool) for source in stack.event_sources
    ]
    if stack.schedule_groups:
        pollers.append(Schedules(stack.schedule_groups, client("scheduler"), client("sqs")))
    for poller in pollers:
        poller.start()
    answer = asdict(stack)
    del answer["event_sources"], answer["schedule_groups"]
    return answer, pollers


if __name__ == "__main__":
    main()

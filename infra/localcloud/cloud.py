"""Starts the local cloud in a process of its own, and talks to it only as to AWS: over HTTP."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
from botocore.config import Config

from infra.localcloud.template import REGION

ROOT = Path(__file__).parents[2]
_STOP_SECONDS = 20


@dataclass
class LocalCloud:
    """A deployed template, from `with` to the end of the block.

    Attributes:
        template: the SAM template to deploy.
        parameters: values for its parameters, over their defaults. `EndpointUrl` is set by itself.
        pipelines: the folder of pipeline modules to deploy, as the package `pipelines`.
        library: the library to deploy; None deploys a template whose functions have no layer.
        requirements: the lock file of the layer.
        stack: the stack's name.
        port: where to listen; 0 takes a free port.
        logs: a folder for one log file a function; None keeps them in a temporary one.
        layer: the folder that functions see as the layer, with the compiled plan documents.
        endpoint: the address that stands in for AWS.
        outputs: the template's outputs (names of buckets, the table, the state machine's ARN).
        resources: the physical id of every resource, by logical id.
        inert: what the template asks for and has no effect here, in words.

    Example:
        >>> with LocalCloud(ROOT / "template.yaml", {"Pipeline": "pipelines.flights:pipeline"}) as cloud:
        ...     cloud.client("s3").list_buckets()
    """

    template: Path = ROOT / "template.yaml"
    parameters: dict[str, str] = field(default_factory=dict)
    pipelines: Path = ROOT / "pipelines"
    library: Path | None = ROOT / "shared" / "tidegate"
    requirements: Path = ROOT / "requirements" / "layer.txt"
    stack: str = "tidegate"
    port: int = 0
    logs: Path | None = None
    layer: Path = field(default=Path(), init=False)
    endpoint: str = field(default="", init=False)
    outputs: dict[str, str] = field(default_factory=dict, init=False)
    resources: dict[str, str] = field(default_factory=dict, init=False)
    inert: list[str] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        """Makes room for the clients, which are closed in the end."""
        self._clients: list[Any] = []

    def __enter__(self) -> Self:
        # A session of its own: Ctrl-C in the terminal is for us alone, who then end this process in order.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "infra.localcloud.server"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        line = self._ask(self._wanted())
        if not line:
            self._stop()
            raise RuntimeError("the local cloud did not start; the reason is above, on standard error")
        ready = json.loads(line)
        self.endpoint, self.logs, self.layer = ready["endpoint"], Path(ready["logs"]), Path(ready["layer"])
        self.outputs, self.resources, self.inert = ready["outputs"], ready["resources"], ready["inert"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def client(self, service: str, **settings: Any) -> Any:
        """Returns a boto3 client of a service that talks to this cloud.

        Args:
            service: such as `s3`.
            settings: for botocore's `Config`, such as `max_pool_connections`.
        """
        client = boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="local",
            aws_secret_access_key="local",  # noqa: S106 (moto takes any)
            config=Config(**settings),
        )
        self._clients.append(client)
        return client

    def _wanted(self) -> str:
        paths = ("template", "pipelines", "library", "requirements", "logs")
        wanted: dict[str, Any] = {
            name: str(path) if (path := getattr(self, name)) else None for name in paths
        }
        return json.dumps({**wanted, "parameters": self.parameters, "stack": self.stack, "port": self.port})

    def _ask(self, wanted: str) -> str:
        """Sends what to deploy, and returns the answer: one line, or nothing if the server gave up."""
        pipes = self._process.stdin, self._process.stdout
        if pipes[0] is None or pipes[1] is None:
            return ""
        pipes[0].write(wanted + "\n")
        pipes[0].flush()
        return pipes[1].readline()

    def _stop(self) -> None:
        for client in self._clients:
            client.close()
        with self._process:  # closes the pipes and waits; the closed pipe is what tells the server to stop
            if self._process.stdin:
                self._process.stdin.close()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()

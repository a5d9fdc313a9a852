"""The part of Lambda's web API that clients and state machines use: invoke, look up, update functions."""

import json
import re
import threading
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote

from infra.localcloud.functions import MAX_PAYLOAD_BYTES, FunctionDefinition, FunctionPool

_INVOKE = re.compile(r"^/2015-03-31/functions/([^/]+)/invocations$")
_FUNCTION = re.compile(r"^/2015-03-31/functions/([^/]+)(/configuration)?$")
_FUNCTIONS = re.compile(r"^/2015-03-31/functions/?$")


class LambdaApi:
    """A WSGI app in front of the pool. Moto's own Lambda runs functions in Docker containers only."""

    def __init__(self, pool: FunctionPool) -> None:
        self._pool = pool

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answers one request."""
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        status, headers, body = self._error("501 Not Implemented", "NotImplemented", f"{method} {path}")
        if method == "GET" and _FUNCTIONS.match(path):
            functions = [_configuration(definition) for definition in self._pool.definitions.values()]
            status, headers, body = "200 OK", {}, json.dumps({"Functions": functions}).encode()
        elif method == "GET" and (match := _FUNCTION.match(path)):
            status, headers, body = self._describe(_name(match[1]), match[2] is not None)
        elif method == "PUT" and (match := _FUNCTION.match(path)) and match[2]:
            status, headers, body = self._update(_name(match[1]), json.loads(_body(environ)))
        elif method == "POST" and (match := _INVOKE.match(path)):
            payload = _body(environ) or b"{}"
            kind = environ.get("HTTP_X_AMZ_INVOCATION_TYPE", "RequestResponse")
            status, headers, body = self._invoke(_name(match[1]), payload, kind)
        fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
        start_response(status, list(fields.items()))
        return [body]

    def _invoke(self, name: str, payload: bytes, kind: str) -> tuple[str, dict[str, str], bytes]:
        if name not in self._pool.definitions:
            return self._missing(name)
        if len(payload) > MAX_PAYLOAD_BYTES:
            text = f"Request must be smaller than {MAX_PAYLOAD_BYTES} bytes for the InvokeFunction operation"
            return self._error("413 Request Entity Too Large", "RequestTooLargeException", text)
        if kind == "Event":
            threading.Thread(target=self._pool.invoke, args=(name, payload), daemon=True).start()
            return "202 Accepted", {}, b""
        invocation = self._pool.invoke(name, payload)
        headers = {"X-Amzn-RequestId": invocation.request_id, "X-Amz-Executed-Version": "$LATEST"}
        if invocation.error:
            headers["X-Amz-Function-Error"] = invocation.error
        return "200 OK", headers, invocation.answer

    def _describe(self, name: str, bare: bool) -> tuple[str, dict[str, str], bytes]:
        definition = self._pool.definitions.get(name)
        if definition is None:
            return self._missing(name)
        configuration = _configuration(definition)
        return "200 OK", {}, json.dumps(configuration if bare else {"Configuration": configuration}).encode()

    def _update(self, name: str, asked: dict[str, Any]) -> tuple[str, dict[str, str], bytes]:
        if name not in self._pool.definitions:
            return self._missing(name)
        if set(asked) != {"Environment"}:
            text = "of a function only its environment can be updated here"
            return self._error("501 Not Implemented", "NotImplemented", text)
        changed = self._pool.update(name, asked["Environment"]["Variables"])
        return "200 OK", {}, json.dumps(_configuration(changed)).encode()

    def _missing(self, name: str) -> tuple[str, dict[str, str], bytes]:
        return self._error("404 Not Found", "ResourceNotFoundException", f"Function not found: {name}")

    @staticmethod
    def _error(status: str, kind: str, message: str) -> tuple[str, dict[str, str], bytes]:
        return status, {"X-Amzn-ErrorType": kind}, json.dumps({"Type": "User", "Message": message}).encode()


def _body(environ: dict[str, Any]) -> bytes:
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    return body


def _name(quoted: str) -> str:
    """Returns the name in a path, where an ARN may stand instead."""
    return unquote(quoted).split(":function:")[-1].split(":")[0]


def _configuration(definition: FunctionDefinition) -> dict[str, Any]:
    return {
        "FunctionName": definition.name,
        "FunctionArn": definition.arn,
        "Handler": definition.handler,
        "Timeout": definition.timeout,
        "MemorySize": definition.memory,
        "Environment": {"Variables": definition.environment},
    }

"""The part of CloudFormation's web API that clients ask about a stack: describe it, with its outputs.

Moto's own CloudFormation needs packages that nothing else here does, and knows no stack that it did not make.
"""

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs
from xml.etree import ElementTree

_NAMESPACE = "http://cloudformation.amazonaws.com/doc/2010-05-15/"


class StacksApi:
    """A WSGI app that knows one stack, once it is deployed.

    Attributes:
        outputs: the values of the outputs of each deployed stack, by its name.
    """

    def __init__(self) -> None:
        self.outputs: dict[str, dict[str, str]] = {}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answers one request."""
        length = int(environ.get("CONTENT_LENGTH") or 0)
        asked = {name: values[-1] for name, values in parse_qs(environ["wsgi.input"].read(length)).items()}
        action, name = asked.get(b"Action", b"").decode(), asked.get(b"StackName", b"").decode()
        status = "200 OK"
        if action == "DescribeStacks" and name in self.outputs:
            answer = _described(name, self.outputs[name])
        elif action == "DescribeStacks":
            status, answer = (
                "400 Bad Request",
                _error("ValidationError", f"Stack with id {name} does not exist"),
            )
        else:
            status, answer = "501 Not Implemented", _error("NotImplemented", action)
        body = ElementTree.tostring(answer)
        start_response(status, [("Content-Type", "text/xml"), ("Content-Length", str(len(body)))])
        return [body]


def _described(name: str, outputs: dict[str, str]) -> ElementTree.Element:
    answer = ElementTree.Element("DescribeStacksResponse", xmlns=_NAMESPACE)
    result = ElementTree.SubElement(answer, "DescribeStacksResult")
    stack = ElementTree.SubElement(ElementTree.SubElement(result, "Stacks"), "member")
    given = {"StackName": name, "StackStatus": "CREATE_COMPLETE", "CreationTime": "2026-01-01T00:00:00Z"}
    for field, value in given.items():
        ElementTree.SubElement(stack, field).text = value
    members = ElementTree.SubElement(stack, "Outputs")
    for key, value in outputs.items():
        member = ElementTree.SubElement(members, "member")
        ElementTree.SubElement(member, "OutputKey").text = key
        ElementTree.SubElement(member, "OutputValue").text = value
    return answer


def _error(code: str, message: str) -> ElementTree.Element:
    answer = ElementTree.Element("ErrorResponse", xmlns=_NAMESPACE)
    error = ElementTree.SubElement(answer, "Error")
    for field, value in (("Type", "Sender"), ("Code", code), ("Message", message)):
        ElementTree.SubElement(error, field).text = value
    return answer

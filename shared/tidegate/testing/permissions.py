"""What each deployed function may do: the template's IAM and bucket policies, evaluated.

Emulators enforce none of it, so this is what finds a right that is missing before AWS does, and a right that
nobody needs. The rules are those of the IAM user guide, "Policy evaluation logic", for one account without
boundaries: a request is allowed if a statement of the role allows it and no statement of the role or of the
bucket denies it. What a policy uses and is not known here is an error: nothing passes unchecked.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from tidegate.stores.ports import QUEUE_DELAY

STORES = {"input": "InputBucket", "state": "StateBucket", "output": "OutputBucket", "table": "Table"}
"""The logical ids in the template, by the names of the ports."""

_OBJECT, _BUCKET = "object", "bucket"

_MISSING = ("s3:ListBucket", _BUCKET)
"""Without it S3 answers 403 for an object that is not there, which nobody can tell from a missing right."""

_BUCKET_REQUESTS: dict[str, tuple[tuple[str, str], ...]] = {
    "get": (("s3:GetObject", _OBJECT), _MISSING),
    "get_version": (("s3:GetObjectVersion", _OBJECT), _MISSING, ("s3:ListBucketVersions", _BUCKET)),
    "get_ranges": (("s3:GetObject", _OBJECT), _MISSING),
    "put": (("s3:PutObject", _OBJECT),),
    # A refused create is followed by a look whether the object is there (HEAD, which is GetObject to IAM).
    "put_if_absent": (("s3:PutObject", _OBJECT), ("s3:GetObject", _OBJECT), _MISSING),
    "list": (("s3:ListBucket", _BUCKET),),
    "list_versions": (("s3:ListBucketVersions", _BUCKET),),
    "delete": (("s3:DeleteObject", _OBJECT),),
}
_TABLE_REQUESTS = {
    "get": "dynamodb:GetItem",
    "get_many": "dynamodb:BatchGetItem",
    "query": "dynamodb:Query",
    # A transaction needs the rights of the writes that it is made of, and no right of its own.
    "put": "dynamodb:PutItem",
    "update": "dynamodb:UpdateItem",
    "delete": "dynamodb:DeleteItem",
}
_NOT_OF_PORTS = ("logs:", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
"""Rights that Lambda itself uses on a function's behalf."""

_PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::AccountId": "123456789012",
    "AWS::StackName": "tidegate",
}


@dataclass(frozen=True)
class Call:
    """A call of a port.

    Attributes:
        store: `input`, `state`, `output`, `table`, `machine` or `alarms`.
        operation: Of a bucket `get`, `get_version`, `get_ranges`, `put`, `put_if_absent`, `list`,
            `list_versions` or `delete`; of the table `get`, `get_many`, `query`, `put`, `update` or
            `delete`, for each row that a write names; of the machine `start`; of alarms `set_near` and
            `set_far` (see `alarm`).
        key: The object's or the row's; of a listing the folder.
    """

    store: str
    operation: str
    key: str = ""


def alarm(moment: int, now: int) -> Call:
    """The call that sets an alarm: a message that the queue holds back, or a schedule for one."""
    return Call("alarms", "set_near" if moment - now <= QUEUE_DELAY else "set_far", str(moment))


@dataclass(frozen=True)
class Grant:
    """One action on one pattern of resources that a role allows."""

    action: str
    resource: str


@dataclass(frozen=True)
class _Request:
    """What a call sends, as IAM sees it."""

    action: str
    resource: str
    context: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class _Statement:
    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...]

    def applies(self, request: _Request) -> bool:
        return (
            any(_matches(each, request.action) for each in self.actions)
            and any(_matches(each, request.resource) for each in self.resources)
            and all(_holds(*each, dict(request.context)) for each in self.conditions)
        )


@dataclass(frozen=True)
class Permissions:
    """What one function may do.

    Example:
        >>> permissions = Permissions.of(transformed(Path("template.yaml"), {})["Resources"])
        >>> permissions["map"].allows(Call("state", "put_if_absent", "p/epochs/0000000001/manifest.json"))
        False
    """

    role: tuple[_Statement, ...]
    policies: tuple[_Statement, ...]

    @classmethod
    def of(cls, resources: Mapping[str, Any]) -> "dict[str, Permissions]":
        """The permissions of every function, by its name in lower case without `Function`.

        Args:
            resources: Those of the template, as SAM transforms it.

        Raises:
            ValueError: A policy uses something that is not evaluated here.
        """
        policies = tuple(
            statement
            for each in resources.values()
            if each["Type"] == "AWS::S3::BucketPolicy"
            for statement in _statements(each["Properties"]["PolicyDocument"], of_resource=True)
        )
        found = {}
        for name, each in resources.items():
            if each["Type"] == "AWS::Lambda::Function":
                role = resources[each["Properties"]["Role"]["Fn::GetAtt"][0]]["Properties"]
                documents = [policy["PolicyDocument"] for policy in role.get("Policies", ())]
                for policy in role.get("ManagedPolicyArns", ()):
                    documents.append(resources[policy["Ref"]]["Properties"]["PolicyDocument"])
                statements = tuple(one for document in documents for one in _statements(document))
                found[name.removesuffix("Function").lower()] = cls(statements, policies)
        return found

    def allows(self, call: Call) -> bool:
        """Whether all that a call sends is allowed, also what it sends only when something is missing."""
        return all(self._allows(request) for request in _requests(call))

    def may(self, action: str, resource: str) -> bool:
        """Whether a single request is allowed, without any header that a condition might ask for.

        Args:
            action: Such as `s3:DeleteObjectVersion`.
            resource: The logical id, and behind a `/` the object's key.
        """
        return self._allows(_Request(action, f"arn:{resource}", _TLS))

    def unused(self, calls: Iterable[Call]) -> set[Grant]:
        """What is granted and was needed by none of the calls."""
        requests = {request for call in set(calls) for request in _requests(call)}
        return {
            Grant(action, resource)
            for each in self.role
            if each.effect == "Allow"
            for action in each.actions
            for resource in each.resources
            if not action.startswith(_NOT_OF_PORTS)
            and not any(_matches(action, r.action) and _matches(resource, r.resource) for r in requests)
        }

    def _allows(self, request: _Request) -> bool:
        effects = {each.effect for each in (*self.role, *self.policies) if each.applies(request)}
        return effects == {"Allow"}


_TLS = (("aws:SecureTransport", "true"),)


def _requests(call: Call) -> Iterator[_Request]:
    if call.store == "machine":
        if call.operation != "start":
            raise ValueError(f"the machine has no operation {call.operation!r}")
        yield _Request("states:StartExecution", _resolved({"Fn::Sub": _MACHINE}), _TLS)
    elif call.store == "alarms":
        for action, resource, more in _ALARM_REQUESTS[call.operation]:
            yield _Request(action, _resolved(resource), _TLS + more)
    elif call.store == "table":
        yield _Request(_TABLE_REQUESTS[call.operation], f"arn:{STORES['table']}", _TLS)
    else:
        bucket = f"arn:{STORES[call.store]}"
        for action, kind in _BUCKET_REQUESTS[call.operation]:
            context: tuple[tuple[str, str], ...] = _TLS
            if call.operation == "put_if_absent" and action == "s3:PutObject":
                context += (("s3:if-none-match", "*"),)
            yield _Request(action, f"{bucket}/{call.key}" if kind == _OBJECT else bucket, context)


_MACHINE = (
    "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}:stateMachine:${AWS::StackName}-epochs"
)
"""The state machine is named by its ARN in the template, for it and the functions need each other."""

_SCHEDULES = "arn:${AWS::Partition}:scheduler:${AWS::Region}:${AWS::AccountId}:schedule/${AlarmGroup}/*"

_ALARM_REQUESTS: dict[str, tuple[tuple[str, Any, tuple[tuple[str, str], ...]], ...]] = {
    "set_near": (("sqs:SendMessage", {"Fn::GetAtt": ["IntakeQueue", "Arn"]}, ()),),
    "set_far": (
        ("scheduler:CreateSchedule", {"Fn::Sub": _SCHEDULES}, ()),
        # A schedule sends its message with a role that whoever makes it must be allowed to hand over.
        (
            "iam:PassRole",
            {"Fn::GetAtt": ["AlarmRole", "Arn"]},
            (("iam:PassedToService", "scheduler.amazonaws.com"),),
        ),
    ),
}


def _statements(document: Mapping[str, Any], *, of_resource: bool = False) -> Iterator[_Statement]:
    known = {"Sid", "Effect", "Action", "Resource", "Condition"} | ({"Principal"} if of_resource else set())
    for each in document["Statement"]:
        if unknown := set(each) - known:
            raise ValueError(f"{', '.join(sorted(unknown))} of a statement is not evaluated here: {each}")
        if each.get("Principal", "*") != "*" or (of_resource and each["Effect"] != "Deny"):
            raise ValueError(f"of a bucket's policy only what it denies to everybody is evaluated: {each}")
        conditions = [
            (operator, key, tuple(map(str, _listed(values))))
            for operator, keys in each.get("Condition", {}).items()
            for key, values in keys.items()
        ]
        if unsupported := {operator for operator, _, _ in conditions} - {"Bool", "Null", "StringEquals"}:
            raise ValueError(f"the condition {', '.join(sorted(unsupported))} is not evaluated here: {each}")
        yield _Statement(
            each["Effect"],
            tuple(_listed(each["Action"])),
            tuple(map(_resolved, _listed(each["Resource"]))),
            tuple(conditions),
        )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _resolved(value: Any) -> str:
    """A resource's name; `arn:` and the logical id for what the template makes."""
    if isinstance(value, str):
        return value
    ((function, argument),) = value.items()
    if function == "Fn::GetAtt" and argument[1] == "Arn":
        return f"arn:{argument[0]}"
    if function == "Fn::Sub" and isinstance(argument, str):
        return re.sub(
            r"\$\{([^}]+)\}",
            lambda found: _PSEUDO.get(found[1]) or f"arn:{found[1].removesuffix('.Arn')}",
            argument,
        )
    raise ValueError(f"the resource {value} of a policy is not evaluated here")


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    parts = (".*" if part == "*" else "." if part == "?" else re.escape(part) for part in pattern)
    return re.compile("".join(parts), re.DOTALL)


def _matches(pattern: str, value: str) -> bool:
    return _pattern(pattern).fullmatch(value) is not None


def _holds(operator: str, key: str, wanted: tuple[str, ...], context: Mapping[str, str]) -> bool:
    if operator == "Null":
        return (key not in context) == (wanted == ("true",))
    return context.get(key) in wanted

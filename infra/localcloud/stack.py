"""Deploys a template: resolves it, makes its resources in order, and tells what has no effect here."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.localcloud.functions import FunctionPool
from infra.localcloud.queue_poller import EventSource
from infra.localcloud.resources import TYPES, Made, Workshop
from infra.localcloud.template import Scope, creation_order, transformed


@dataclass(frozen=True)
class Stack:
    """A deployed template.

    Attributes:
        outputs: the values of the template's `Outputs`.
        resources: the physical id of every resource, by logical id.
        inert: the resources and properties that have no effect here, in words.
        event_sources: the queues that functions are to be called from.
        schedule_groups: the groups of schedules that go off.
    """

    outputs: dict[str, str]
    resources: dict[str, str]
    inert: list[str]
    event_sources: list[EventSource]
    schedule_groups: list[str]


def deploy(
    path: Path,
    parameters: dict[str, str],
    *,
    stack: str,
    endpoint: str,
    client: Callable[[str], Any],
    pool: FunctionPool,
    search_path: tuple[Path, ...],
) -> Stack:
    """Deploys the SAM template at `path`.

    Args:
        path: the template; its own folder is where its paths start.
        parameters: values for its parameters, over their defaults.
        stack: the stack's name.
        endpoint: what the parameter `EndpointUrl` gets, if the template has it.
        client: gives the boto3 client of a service.
        pool: where functions go.
        search_path: what functions import from, after their own folder.

    Raises:
        ValueError: a parameter is unknown or has no value.
        graphlib.CycleError: the resources depend on each other in a circle.
    """
    template = transformed(path, parameters)
    if "EndpointUrl" in template.get("Parameters", {}):
        parameters = {**parameters, "EndpointUrl": endpoint}
    scope = Scope(template, parameters, stack)
    workshop = Workshop(stack, path.parent, client, pool, search_path)
    resources: dict[str, str] = {}
    inert: list[str] = []
    for logical_id in creation_order(template):
        declared = template["Resources"][logical_id]
        if "Condition" in declared and not scope.condition(declared["Condition"]):
            continue
        made = _make(
            workshop, logical_id, declared["Type"], scope.resolve(declared.get("Properties", {})), inert
        )
        resources[logical_id] = scope.refs[logical_id] = made.ref
        for attribute, value in made.attributes.items():
            scope.attributes[logical_id, attribute] = value
    outputs = {name: str(scope.resolve(one["Value"])) for name, one in template.get("Outputs", {}).items()}
    return Stack(outputs, resources, inert, workshop.event_sources, workshop.schedule_groups)


def _make(workshop: Workshop, logical_id: str, kind: str, given: dict[str, Any], inert: list[str]) -> Made:
    known = TYPES.get(kind)
    if known is None:
        inert.append(f"{logical_id} ({kind})")
        return Made(workshop.name(logical_id))
    ignored = sorted(set(given) - known.properties)
    if ignored:
        inert.append(f"{logical_id} ({kind}): {', '.join(ignored)}")
    return known.make(workshop, logical_id, given)

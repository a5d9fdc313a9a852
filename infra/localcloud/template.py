"""Reads a SAM template and gives the CloudFormation template that a deployment would send."""

import re
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ACCOUNT = "123456789012"
REGION = "us-east-1"

# `sam package` uploads local folders and puts an address in their place. Here nothing is uploaded: the key of
# the address is the path, and this bucket name says that it is one.
LOCAL = "s3://local/"
_LOCAL_PATHS = {
    "AWS::Serverless::Function": "CodeUri",
    "AWS::Serverless::LayerVersion": "ContentUri",
    "AWS::Serverless::StateMachine": "DefinitionUri",
}
_SUBSTITUTED = re.compile(r"\$\{([^!}][^}]*)\}")


def transformed(path: Path, parameters: dict[str, str]) -> dict[str, Any]:
    """Returns the template with every SAM resource replaced by what SAM makes of it.

    Args:
        path: the SAM template.
        parameters: values for its parameters, over their defaults.
    """
    template: dict[str, Any] = yaml_parse(path.read_text(encoding="utf-8"))
    for resource in template["Resources"].values():
        attribute = _LOCAL_PATHS.get(resource["Type"])
        if attribute:
            resource["Properties"][attribute] = LOCAL + resource["Properties"][attribute]
    translator = Translator(
        managed_policy_map={}, sam_parser=Parser(), boto_session=boto3.Session(region_name=REGION)
    )
    result: dict[str, Any] = translator.translate(template, parameter_values=dict(parameters))
    return result


def creation_order(template: dict[str, Any]) -> list[str]:
    """Returns the logical ids so that each comes after those that it depends on.

    Raises:
        graphlib.CycleError: resources depend on each other in a circle; CloudFormation would refuse them too.
    """
    resources = template["Resources"]
    graph = {}
    for name, resource in resources.items():
        explicit = resource.get("DependsOn", [])
        named = {explicit} if isinstance(explicit, str) else set(explicit)
        graph[name] = (named | references(resource.get("Properties", {}))) & set(resources)
    return list(TopologicalSorter(graph).static_order())


def references(value: Any) -> set[str]:
    """Returns every name that `Ref`, `Fn::GetAtt` and `Fn::Sub` below the value refer to."""
    if isinstance(value, list):
        return set().union(*map(references, value))
    if not isinstance(value, dict):
        return set()
    found = set().union(*map(references, value.values()))
    if "Ref" in value:
        found.add(value["Ref"])
    if "Fn::GetAtt" in value:
        found.add(value["Fn::GetAtt"][0])
    if "Fn::Sub" in value:
        text = value["Fn::Sub"] if isinstance(value["Fn::Sub"], str) else value["Fn::Sub"][0]
        found |= {name.split(".")[0] for name in _SUBSTITUTED.findall(text)}
    return found


class Scope:
    """What names mean while a template is deployed: its parameters, and the resources made so far.

    Attributes:
        refs: what `Ref` gives, by name.
        attributes: what `Fn::GetAtt` gives, by logical id and attribute.
    """

    def __init__(self, template: dict[str, Any], parameters: dict[str, str], stack: str) -> None:
        self.refs: dict[str, Any] = {
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::Region": REGION,
            "AWS::StackName": stack,
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::NoValue": None,
        }
        self.attributes: dict[tuple[str, str], Any] = {}
        self._conditions: dict[str, Any] = template.get("Conditions", {})
        declared = template.get("Parameters", {})
        if unknown := set(parameters) - set(declared):
            raise ValueError(
                f"the template has no parameter {', '.join(sorted(unknown))}; it has {', '.join(declared)}"
            )
        for name, declaration in declared.items():
            if name not in parameters and "Default" not in declaration:
                raise ValueError(f"the template's parameter {name} has no default: give it a value")
            self.refs[name] = parameters.get(name, declaration.get("Default"))

    def resolve(self, value: Any) -> Any:
        """Returns the value with every intrinsic function worked out, without what becomes `AWS::NoValue`."""
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not None]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((function, argument),) = value.items()
            if function == "Ref":
                return self.refs[argument]
            if function.startswith("Fn::"):
                return self._call(function, argument)
        resolved = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not None}

    def condition(self, name: str) -> bool:
        """Returns whether a condition of the template holds."""
        return bool(self.resolve(self._conditions[name]))

    def _call(self, function: str, argument: Any) -> Any:
        match function:
            case "Fn::GetAtt":
                return self.attributes[argument[0], argument[1]]
            case "Fn::Sub":
                return self._substitute(argument)
            case "Fn::If":
                return self.resolve(argument[1] if self.condition(argument[0]) else argument[2])
            case "Fn::Equals":
                return str(self.resolve(argument[0])) == str(self.resolve(argument[1]))
            case "Fn::Not":
                return not self.resolve(argument[0])
            case "Fn::Join":
                return argument[0].join(map(str, self.resolve(argument[1])))
        raise NotImplementedError(f"the local cloud does not know the intrinsic function {function}")

    def _substitute(self, argument: Any) -> str:
        text, own = (argument, {}) if isinstance(argument, str) else argument

        def meaning(match: re.Match[str]) -> str:
            name = match[1]
            if name in own:
                return str(self.resolve(own[name]))
            logical_id, dot, attribute = name.partition(".")
            return str(self.attributes[logical_id, attribute] if dot else self.refs[name])

        return _SUBSTITUTED.sub(meaning, text).replace("${!", "${")

"""Evaluates IAM policies as AWS does.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
A denial always wins. Otherwise a statement must allow the request, and so must the permissions
boundary. This module raises NotUnderstood for elements that it does not know.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

Context = Mapping[str, str | list[str]]
"""The properties of a request besides its action and resource, by condition key."""


class NotUnderstood(Exception):
    """A policy or a template that this module does not support yet."""


class Template:
    """A CloudFormation template, rendered with the given parameters."""

    def __init__(self, body: Mapping[str, Any], **parameters: str) -> None:
        self._body = body
        defaults = {
            name: parameter["Default"]
            for name, parameter in body["Parameters"].items()
            if "Default" in parameter
        }
        self._names: dict[str, Any] = {
            "AWS::Partition": "aws",
            "AWS::Region": "ca-central-1",
            "AWS::AccountId": "123456789012",
            "AWS::URLSuffix": "amazonaws.com",
            **defaults,
            **parameters,
        }

    def resource(self, logical_id: str) -> Any:
        """Return its properties. References look like `<SiteBucket.Arn>`."""
        return self._rendered(self._body["Resources"][logical_id].get("Properties", {}))

    def holds(self, condition: str) -> bool:
        return self._judged(self._body["Conditions"][condition])

    def rendered(self, value: Any) -> Any:
        """Return part of another document, such as a policy, with this template's names."""
        return self._rendered(value)

    def _judged(self, condition: Any) -> bool:
        match condition:
            case {"Condition": str(name)}:
                return self.holds(name)
            case {"Fn::Equals": [one, other]}:
                return bool(self._rendered(one) == self._rendered(other))
            case {"Fn::Not": [inner]}:
                return not self._judged(inner)
            case {"Fn::And": parts}:
                return all(map(self._judged, parts))
        raise NotUnderstood(str(condition))

    def _rendered(self, value: Any) -> Any:
        match value:
            case {"Ref": "AWS::NoValue"}:
                return None
            case {"Ref": str(name)}:
                return self._names.get(name, f"<{name}>")
            case {"Fn::GetAtt": [resource, attribute]}:
                return f"<{resource}.{attribute}>"
            case {"Fn::Sub": [str(text), dict(own)]}:
                return self._filled(text, {name: self._rendered(own[name]) for name in own})
            case {"Fn::Sub": str(text)}:
                return self._filled(text, {})
            case {"Fn::If": [condition, then, otherwise]}:
                return self._rendered(then if self.holds(condition) else otherwise)
            case dict():
                rendered = {name: self._rendered(part) for name, part in value.items()}
                return {name: part for name, part in rendered.items() if part is not None}
            case list():
                return [part for part in map(self._rendered, value) if part is not None]
        return value

    def _filled(self, text: str, own: Mapping[str, str]) -> str:
        names = {**self._names, **own}
        return re.sub(r"\$\{([^}]+)\}", lambda found: names.get(found[1], f"<{found[1]}>"), text)


class Rights(NamedTuple):
    """The statements of policies, and the permissions boundary."""

    statements: list[Any]
    boundary: list[Any] | None = None

    def allow(self, action: str, resource: str, context: Context | None = None) -> bool:
        request = (action, resource, context or {})
        if any(_applies(one, *request) for one in self.of_effect("Deny")):
            return False
        if self.boundary is not None and not Rights(self.boundary).allow(*request):
            return False
        return any(_applies(one, *request) for one in self.of_effect("Allow"))

    def of_effect(self, effect: str) -> Iterable[Any]:
        return (statement for statement in self.statements if statement["Effect"] == effect)

    def actions(self) -> set[str]:
        """Return all actions that any statement allows."""
        return {action for one in self.of_effect("Allow") for action in _listed(one["Action"])}


def rights_of(role: Mapping[str, Any], boundary: list[Any] | None = None) -> Rights:
    """Return the rights of a role, from its rendered properties."""
    if "ManagedPolicyArns" in role:
        raise NotUnderstood("a managed policy")
    documents = [policy["PolicyDocument"] for policy in role["Policies"]]
    return Rights([one for document in documents for one in document["Statement"]], boundary)


def trusts(role: Mapping[str, Any], provider: str, claims: Mapping[str, str]) -> bool:
    """Return whether a token of `provider` with these claims can assume the role."""
    return any(
        statement["Effect"] == "Allow"
        and statement["Principal"].get("Federated", "").endswith(f":oidc-provider/{provider}")
        and statement["Action"] == "sts:AssumeRoleWithWebIdentity"
        and _conditions_hold(statement, {f"{provider}:{name}": claims[name] for name in claims})
        for statement in role["AssumeRolePolicyDocument"]["Statement"]
    )


def _applies(statement: Any, action: str, resource: str, context: Context) -> bool:
    if not statement.keys() <= {"Sid", "Effect", "Action", "Resource", "Condition"}:
        raise NotUnderstood(str(statement))
    return (
        any(_like(action.lower(), one.lower()) for one in _listed(statement["Action"]))
        and any(_like(resource, one) for one in _listed(statement["Resource"]))
        and _conditions_hold(statement, context)
    )


def _conditions_hold(statement: Any, context: Context) -> bool:
    return all(
        _condition_holds(operator, _listed(context[key]) if key in context else [], _listed(wanted))
        for operator, keys in statement.get("Condition", {}).items()
        for key, wanted in keys.items()
    )


def _condition_holds(operator: str, values: list[str], wanted: list[str]) -> bool:
    if operator == "Null":  # "true" asks that the request has no such key
        return ["false" if values else "true"] == wanted
    compare = _OPERATORS.get(operator.removeprefix(_FOR_ALL).removesuffix(_IF_EXISTS))
    if compare is None:
        raise NotUnderstood(operator)
    met = [any(compare(value, one) for one in wanted) for value in values]
    if operator.endswith(_IF_EXISTS) and not values:
        return True
    # "For all values" is true of none; any other operator is false without its key.
    return all(met) if operator.startswith(_FOR_ALL) else any(met)


def _like(value: str, pattern: str) -> bool:
    regex = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(regex, value, re.DOTALL) is not None


_FOR_ALL = "ForAllValues:"
_IF_EXISTS = "IfExists"
_OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "StringEquals": str.__eq__,
    "StringLike": _like,
    "ArnLike": _like,
    "Bool": str.__eq__,
    "DateLessThan": str.__lt__,  # of times in UTC, as templates write them
}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]

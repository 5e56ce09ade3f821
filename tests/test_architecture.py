"""Who owns which dependency. The layers are contracts of import-linter, in pyproject.toml."""

import ast
from pathlib import Path

import pytest

from tests.engines import ROOT

SHIPPED = [ROOT / "app.py", *sorted((ROOT / "chalicelib").rglob("*.py"))]
OWNERS = {
    "boto3": {"aws.clients", "aws.dynamodb", "idempotency"}
    | {f"{capability}.repository" for capability in ("api_keys", "payments", "webhooks")},
    "botocore": {"aws.answers", "aws.clients", "aws.dynamodb", "aws.kms", "aws.s3", "aws.sqs"},
    "chalice": {"app", "api.openapi", "api.routing"},
    "os": {"config"},
    "simplejson": {"exact_json", "telemetry"},
    "ulid": {"values"},
    "socket": {"webhooks.http_client"},
    "ssl": {"webhooks.http_client"},
    "certifi": {"webhooks.http_client"},
    "ipaddress": {"webhooks.url_policy"},
    "standardwebhooks": {"webhooks.signing"},
}
MAX_LINES_OF_A_FUNCTION = 60


def module(path: Path) -> str:
    """The dotted name, within chalicelib."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removeprefix("chalicelib.")


def imports(path: Path) -> set[str]:
    """The packages that a module imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("dependency", OWNERS)
def test_dependency_is_imported_by_its_owners_only(dependency: str) -> None:
    users = {module(path) for path in SHIPPED if dependency in imports(path)}
    assert users == OWNERS[dependency]


def test_repositories_import_only_conditions_of_boto3() -> None:
    for path in SHIPPED:
        if path.name == "repository.py":
            lines = [line for line in path.read_text().splitlines() if "boto3" in line]
            from_boto3 = [line for line in lines if line.startswith("from boto3")]
            assert all("boto3.dynamodb.conditions" in line for line in from_boto3)


@pytest.mark.parametrize("path", SHIPPED, ids=module)
def test_requests_for_dynamodb_are_built_in_one_module(path: Path) -> None:
    words = (
        "TableName",
        "UpdateExpression",
        "ConditionExpression",
        "ExpressionAttribute",
        ".scan(",
    )
    found = {word for word in words if word in path.read_text()}
    assert found <= (set(words[:-1]) if module(path) == "aws.dynamodb" else set())


@pytest.mark.parametrize("path", SHIPPED, ids=module)
def test_function_is_at_most_sixty_lines_long(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= MAX_LINES_OF_A_FUNCTION, node.name


@pytest.mark.parametrize("folder", ["bench", "infra", "chalicelib"])
def test_only_tests_import_tests(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        assert "tests" not in imports(path), path

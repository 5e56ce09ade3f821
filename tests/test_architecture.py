"""Who may import whom, and who owns which dependency."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "chalicelib").glob("*.py"))
# Each module may import those of its own layer or of a later one.
LAYERS = [
    {"openapi"},
    {"api"},
    {"payments", "refunds", "sweeper", "listing", "stats", "api_keys"}
    | {"webhooks", "webhook_delivery"},
    {"webhook_outbox"},
    {"store", "webhook_store", "queue_jobs", "request_log"},
    {"tables"},
    {"idempotency", "processor", "aws", "commands", "webhook_sender", "webhook_signature"},
    {"webhook_model"},
    {"model", "exact_json", "webhook_url", "webhook_schedule"},
    {"errors", "schema"},
]
LEAVES = {"config", "telemetry"}
OWNERS = {
    "botocore": {"aws", "tables", "queue_jobs"},
    "chalice": {"api", "openapi"},
    "os": {"config"},
    "simplejson": {"exact_json", "telemetry"},
    "ulid": {"model"},
    "socket": {"webhook_sender"},
    "ssl": {"webhook_sender"},
    "h11": {"webhook_sender"},
    "certifi": {"webhook_sender"},
    "ipaddress": {"webhook_url"},
    "standardwebhooks": {"webhook_signature"},
}


def imports(path: Path) -> set[str]:
    """Dotted names of all that a module imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def siblings(path: Path) -> set[str]:
    own = {module.stem for module in MODULES}
    return {
        name.split(".")[1]
        for name in imports(path)
        if name.startswith("chalicelib.") and name.split(".")[1] in own
    }


def layer(module: str) -> int:
    return next(depth for depth, modules in enumerate(LAYERS) if module in modules)


def test_every_module_has_its_layer() -> None:
    placed = set().union(*LAYERS, LEAVES, {"__init__"})
    assert placed == {module.stem for module in MODULES}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_imports_point_one_way(path: Path) -> None:
    if path.stem in LEAVES | {"__init__"}:
        assert siblings(path) == set()
        return
    for other in siblings(path) - LEAVES:
        assert layer(path.stem) <= layer(other), f"{path.stem} imports {other}"
        assert path.stem not in siblings(path.with_stem(other)), f"{path.stem} and {other} circle"


@pytest.mark.parametrize("dependency", OWNERS)
def test_a_dependency_has_its_owners_and_no_others(dependency: str) -> None:
    users = {
        path.stem
        for path in MODULES
        if any(name.split(".")[0] == dependency for name in imports(path))
    }
    assert users == OWNERS[dependency]


def test_nothing_that_ships_scans_a_table() -> None:
    for path in [*MODULES, ROOT / "app.py"]:
        assert ".scan(" not in path.read_text()


@pytest.mark.parametrize("folder", ["bench", "infra", "chalicelib"])
def test_only_tests_import_tests(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        assert not any(name.split(".")[0] == "tests" for name in imports(path)), path

"""`make load` itself, for a few seconds: the tool must not rot. What it measures is not judged."""

import subprocess
import sys

from tests.engines import ROOT
from tests.stack.conftest import A_DEVELOPERS_OWN, Stack, request

KEPT = "Every promise is kept"


def load(*arguments: str, env: dict[str, str]) -> str:
    """What it says; it must end well."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.load", *arguments],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    return done.stdout


def test_little_load_on_a_stack_of_its_own_keeps_every_promise(stack: Stack) -> None:
    foreign = {name: one for name, one in stack.env.items() if name != "PYTHONPATH"}
    arguments = ["--rates", "20", "--seconds", "3", "--payments", "30", "--within", "2"]
    said = load(*arguments, env=foreign | A_DEVELOPERS_OWN)
    assert KEPT in said
    assert "30 payments, as many as" in said


def test_little_load_on_a_running_stack_counts_only_its_own(stack: Stack) -> None:
    others = stack.client.post(request(metadata={"simulate": "pending"}))
    said = load("--running", "--rates", "20", "--seconds", "2", "--payments", "0", env=stack.env)
    assert KEPT in said
    assert others.status == 201
    assert stack.client.get("/v1/webhook_endpoints").json["webhook_endpoints"] == []

"""What a new process does before its first answer, and what it leaves to those who need it.

How long that takes is measured by `make cold-start`; here nothing is timed.
"""

import json
import subprocess
import sys
from typing import Any

import pytest

from bench.usage import SETTINGS
from infra.local.lambda_events import api_event
from tests.engines import ROOT

LEFT_OUT = {
    "iso4217": "it parses a table of all currencies",
    "chalicelib.webhooks.http_client": "the delivery worker sends",
    "chalicelib.webhooks.delivery_worker": "the delivery worker delivers",
    "chalicelib.sweeper": "the sweeper sweeps",
    "asyncio": "nothing waits in a loop",
}
"""By module, why the first request can do without it."""

FRESH = """
import gc, json, sys
from botocore.client import ClientCreator
made = []
create_client = ClientCreator.create_client
def counted(self, service_name, **how):
    made.append(service_name)
    return create_client(self, service_name=service_name, **how)
ClientCreator.create_client = counted
looks = {}
class Witness:
    def find_spec(self, name, *_):
        looks[name] = gc.isenabled()
sys.meta_path.insert(0, Witness())
import app
looks["afterwards"] = gc.isenabled()
from chalicelib.schema import Schema
imported = list(sys.modules)
built = [model.__name__ for model in Schema.__subclasses__() if model.__pydantic_complete__]
event = json.load(sys.stdin)
answers = [app.app(event, None)["statusCode"] for _ in range(2)]
at_first = list(made)
logs = [app.services.request_log, app.services.request_log]
print(json.dumps({"imported": imported, "built": built, "answers": answers,
                  "looks_for_garbage": looks,
                  "made": at_first, "made_for_logs": made[len(at_first):]}))
"""


@pytest.fixture(scope="module")
def fresh() -> Any:
    """What a process of its own tells of its start."""
    ended = subprocess.run(
        [sys.executable, "-c", FRESH],
        cwd=ROOT,
        env=SETTINGS,
        input=json.dumps(api_event("GET", "/v1/health")),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(ended.stdout.splitlines()[-1])


@pytest.mark.parametrize("module", LEFT_OUT)
def test_first_request_loads_no_unneeded_module(fresh: Any, module: str) -> None:
    assert "chalicelib.payments" in fresh["imported"]
    assert module not in fresh["imported"], LEFT_OUT[module]


def test_no_model_is_built_before_a_request_needs_it(fresh: Any) -> None:
    assert fresh["built"] == []


def test_process_creates_each_client_once(fresh: Any) -> None:
    assert fresh["answers"] == [200, 200]
    assert fresh["made"] == ["dynamodb", "sqs"]
    assert fresh["made_for_logs"] == ["logs"]


def test_garbage_collector_is_enabled_only_after_the_import(fresh: Any) -> None:
    looks = fresh["looks_for_garbage"]
    assert looks["afterwards"]
    ours = {name for name in looks if name.startswith("chalicelib.")}
    assert len(ours) > 10
    assert not any(looks[name] for name in ours)

"""`make fuzz`: compares the API with its own document, by requests that schemathesis generates.

It starts two stacks: one requires keys, the other does not. The same seed sends the same requests,
except those that depend on earlier answers. The processes of a stack can reach only each other.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from chalicelib.api import openapi
from tests.conftest import payflow
from tests.engines import ROOT, wait_until
from tests.fuzz import CONFINED, FOLDER
from tests.stack.conftest import Stack, request
from tests.stack.test_access import make_key

SEED: Final = os.environ.get("SEED") or "1"
EXAMPLES: Final = os.environ.get("EXAMPLES") or "10"
LONGEST_SECONDS: Final = 240 + 20 * int(EXAMPLES)
"""The limit of one run: many times its usual time, so that it ends even if the stack hangs."""

UNASKED: Final = {"GET /v1/openapi.json 200"}
"""Operations that schemathesis leaves out: it reads the document from this one."""

Fuzz = Callable[..., None]
heard: Counter[str] = Counter()
"""How often each operation answered with each status, to callers who may do everything."""
refunded: dict[str, str] = {}
"""A completed refund of each stack that has one, by the address of its API."""
cancelable: dict[str, str] = {}
"""The same of payments that can be canceled."""


@pytest.fixture(scope="module")
def open_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with completed payments to refund and return: few generated ones complete."""
    for stack in running(tmp_path_factory.mktemp("open"), "open"):
        made = [stack.client.post(request(metadata={"simulate": "completed"})) for _ in range(20)]
        for reply in made:
            assert stack.client.settled(reply.json["id"])["status"] == "completed"
        refunded[stack.local.api_url] = completed_refund(stack)
        yield stack


@pytest.fixture(scope="module")
def closed_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose worker is suspended, so that new payments can be canceled."""
    for stack in running(tmp_path_factory.mktemp("closed"), "required"):
        worker = stack.children()["infra.local.worker"]
        worker.suspend()
        key = {"Authorization": f"Bearer {make_key(stack, 'write')}"}
        made = stack.client.post(request(), **key)
        cancelable[stack.local.api_url] = made.json["id"]
        yield stack
        worker.resume()


def completed_refund(stack: Stack) -> str:
    """Return a payment and a completed refund of it, as `<payment id> <refund id>`."""
    wishes = {"simulate": "completed", "simulate_refund": "completed"}
    payment_id = stack.client.post(request(type="eft", metadata=wishes)).json["id"]
    stack.client.settled(payment_id)
    path = f"/v1/payments/{payment_id}/refunds"
    refund_id = stack.client.post({"idempotency_key": "to-be-returned"}, path=path).json["id"]

    def is_completed() -> bool:
        (refund,) = stack.client.get(path).json["refunds"]
        return bool(refund["status"] == "completed")

    wait_until(is_completed, "the refund is completed")
    return f"{payment_id} {refund_id}"


def running(state: Path, auth: str) -> Iterator[Stack]:
    stack = Stack(state, PAYFLOW_AUTH=auth, **CONFINED)
    try:
        stack.wait_until_up()
        yield stack
    finally:
        stack.stop()


def fuzz(stack: Stack, folder: Path, *options: str, key: str = "") -> Counter[str]:
    """Run once. Fail with all findings of schemathesis, and how to reproduce them."""
    answers = folder / "answers.json"
    command = [
        sys.executable,
        *("-m", "schemathesis.cli", "--config-file", str(FOLDER / "schemathesis.toml")),
        *("run", f"{stack.local.api_url}/v1/openapi.json", "--no-color", "--continue-on-failure"),
        *("--seed", SEED, "--max-examples", EXAMPLES, "--request-timeout", "20"),
        *(("--header", f"Authorization: Bearer {key}") if key else ()),
        *options,
    ]
    run = subprocess.run(
        command,
        cwd=ROOT,
        env={
            **stack.local.environment(stack.env),
            "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks",
            "PAYFLOW_FUZZ_HEARD": str(answers),
            "PAYFLOW_FUZZ_KEY": key,
            "PAYFLOW_FUZZ_REFUND": refunded.get(stack.local.api_url, ""),
            "PAYFLOW_FUZZ_CANCELABLE": cancelable.get(stack.local.api_url, ""),
            "PAYFLOW_FUZZ_ORIGIN": stack.local.dashboard_url,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST_SECONDS,
    )
    print(run.stdout[-100_000:], run.stderr[-10_000:])
    assert run.returncode == 0, "what schemathesis found stands above"
    return Counter(json.loads(answers.read_text()))


def shown(answers: Counter[str]) -> set[str]:
    """Return the answers that succeeded, without preflights, which show nothing."""
    return {one for one in answers if one[-3:] < "300" and not one.startswith("OPTIONS")}


def test_whatever_is_asked_of_an_open_stack_is_answered_as_the_document_says(
    open_stack: Stack, tmp_path: Path
) -> None:
    # It asks nobody for a key; the document, which is one for all stages, says that keys are.
    without = ("--exclude-checks", "ignored_auth", "--generation-with-security-parameters", "false")
    heard.update(fuzz(open_stack, tmp_path, *without))


def test_whatever_an_admin_asks_is_answered_as_the_document_says(
    closed_stack: Stack, tmp_path: Path
) -> None:
    heard.update(fuzz(closed_stack, tmp_path, key=make_key(closed_stack, "admin")))


def test_whatever_a_reader_asks_nothing_is_changed_and_only_exports_are_made(
    closed_stack: Stack, tmp_path: Path
) -> None:
    phases = ("--phases", "fuzzing,stateful")
    answers = fuzz(closed_stack, tmp_path, *phases, key=make_key(closed_stack, "read"))
    made = {answer for answer in shown(answers) if not answer.startswith("GET ")}
    assert made <= {"POST /v1/exports 202", "POST /v1/exports 200"}


def test_whatever_is_asked_without_a_key_nothing_is_shown(
    closed_stack: Stack, tmp_path: Path
) -> None:
    answers = fuzz(closed_stack, tmp_path, "--phases", "coverage")
    assert shown(answers) == {"GET /v1/health 200"}


def test_every_success_that_the_document_names_was_among_the_answers() -> None:
    """Runs last: if all requests were refused, the others would prove little."""
    promised = {
        f"{method.upper()} {path} {status}"
        for path, methods in openapi.document(payflow.app)["paths"].items()
        for method, operation in methods.items()
        for status in operation["responses"]
        if status < "300"
    }
    assert promised - UNASKED - set(heard) == set()

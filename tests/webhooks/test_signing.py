"""Signatures of PayFlow, verified by independent libraries.

PyPI's and npm's `standardwebhooks` are the standard's own. `replicate` verifies the same scheme
with code of its own (both of Svix's libraries only wrap the standard's).
"""

import base64
import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from chalicelib.webhooks import signing
from chalicelib.webhooks.signing import headers, new_secret
from tests.engines import node_packages

ID = "EVT-01M83059R3AK4750HF152QB95W"
BODY = '{"type":"payment.completed","data":{"merchant":"Café ☕","amount":12.50}}'.encode()
OFFICIAL_NODE = """
const { Webhook } = require("standardwebhooks");
module.exports = (body, headers, secret) => {
  try { new Webhook(secret).verify(body, headers); return true; } catch { return false; }
};"""
INDEPENDENT_NODE = """
const { validateWebhook } = require("replicate");
module.exports = (body, headers, secret) => validateWebhook({ headers, body }, secret);"""
Verifies = Callable[[bytes, dict[str, str], str], bool]


def official_python(body: bytes, sent: dict[str, str], secret: str) -> bool:
    try:
        Webhook(secret).verify(body, sent)
    except WebhookVerificationError:
        return False
    return True


def in_node(source: str) -> Verifies:
    """Run `source`, which exports a function of body, headers and secret.

    It runs where the dashboard's packages are.
    """

    def verifies(body: bytes, sent: dict[str, str], secret: str) -> bool:
        arguments = json.dumps([body.decode(), sent, secret])
        run = f"Promise.resolve(module.exports(...{arguments})).then(console.log)"
        ended = subprocess.run(
            ["node", "--eval", source + run],
            cwd=node_packages().parent,
            check=True,
            capture_output=True,
            text=True,
        )
        return ended.stdout == "true\n"

    return verifies


VERIFIERS = {
    "pypi-standardwebhooks": official_python,
    "npm-standardwebhooks": in_node(OFFICIAL_NODE),
    "npm-replicate": in_node(INDEPENDENT_NODE),
}
each_library = pytest.mark.parametrize("verifies", VERIFIERS.values(), ids=VERIFIERS.keys())


def test_headers_match_the_example_that_the_standard_publishes() -> None:
    signed = headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        datetime.fromtimestamp(1614265330, UTC),
        b'{"test": 2432232314}',
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )
    assert signed == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@each_library
def test_every_library_verifies_the_headers_and_no_altered_ones(verifies: Verifies) -> None:
    secret = new_secret()
    sent = headers(ID, datetime.now(UTC), BODY, [secret])
    assert verifies(BODY, sent, secret)
    assert not verifies(BODY + b" ", sent, secret)
    assert not verifies(BODY, sent | {"webhook-id": "EVT-OTHER"}, secret)
    assert not verifies(BODY, sent, new_secret())


@each_library
def test_both_secrets_verify_during_a_rotation(verifies: Verifies) -> None:
    new, old = new_secret(), new_secret()
    sent = headers(ID, datetime.now(UTC), BODY, [new, old])
    assert verifies(BODY, sent, new)
    assert verifies(BODY, sent, old)


@pytest.mark.parametrize("verifies", list(VERIFIERS.values())[:2], ids=list(VERIFIERS)[:2])
@pytest.mark.parametrize("minutes", [-6, 6])
def test_signature_of_another_time_is_refused(verifies: Verifies, minutes: int) -> None:
    secret = new_secret()
    sent = headers(ID, datetime.now(UTC) + timedelta(minutes=minutes), BODY, [secret])
    assert not verifies(BODY, sent, secret)


def test_headers_are_the_same_in_every_time_zone() -> None:
    now, secret = datetime.now(UTC), new_secret()
    elsewhere = now.astimezone(timezone(timedelta(hours=-3, minutes=-30)))
    assert headers(ID, elsewhere, BODY, [secret]) == headers(ID, now, BODY, [secret])


def test_time_without_a_zone_and_no_secret_are_refused() -> None:
    naive: Any = datetime.now(UTC).replace(tzinfo=None)
    with pytest.raises(ValueError, match="zone"):
        headers(ID, naive, BODY, [new_secret()])
    with pytest.raises(ValueError, match="secret"):
        headers(ID, datetime.now(UTC), BODY, [])


def test_new_secret_is_32_random_bytes_in_the_standards_form() -> None:
    secret = new_secret()
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    assert secret != signing.new_secret()

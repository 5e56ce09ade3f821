"""The pure rules of endpoints and deliveries."""

from chalicelib.payments.models import EventType
from chalicelib.webhooks.models import Attempt, DeliveryKey, Subscription, delivery_key
from tests.conftest import START
from tests.webhooks.conftest import UNKNOWN


def test_subscriptions_cover_all_events_that_change_a_status() -> None:
    outcomes = {one for one in EventType if not one.endswith((".created", ".contradicted"))}
    assert {one.value for one in Subscription} == {"*", *outcomes}


def test_delivery_id_says_where_the_delivery_is_stored() -> None:
    for payment_id in (f"PAY-{UNKNOWN}", None):
        key = DeliveryKey(payment_id, f"EVT-{UNKNOWN}", f"EP-{UNKNOWN}")
        assert delivery_key(key.delivery_id) == key
    for text in ("", "DLV-", f"DLV-{UNKNOWN}", f"DLV-{UNKNOWN * 4}", f"DLV-{UNKNOWN * 2}\n"):
        assert delivery_key(text) is None


def test_attempt_without_a_result_shows_only_when_it_began() -> None:
    attempt = Attempt(at=START)
    assert attempt.latency_ms is None
    assert [value for value in attempt.model_dump().values() if value is not None] == [
        attempt.model_dump()["at"]
    ]

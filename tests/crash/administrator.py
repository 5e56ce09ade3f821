"""An administrator of the company: webhook endpoints and API keys, created, changed and removed.

Its endpoints come and go, and subscribe to one type of event: what merchants are promised is
checked with the two endpoints that stay.
"""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from chalicelib.api_keys import repository as api_keys
from chalicelib.api_keys.models import ApiKey
from chalicelib.webhooks.items import endpoint_from_item
from chalicelib.webhooks.models import Endpoint
from tests.crash.merchant import Request, Wish

_ENDPOINTS: Final = 3
_KEYS: Final = 3
_OF_ENDPOINTS: Final = (Wish.CHANGE, Wish.ROTATE, Wish.TEST, Wish.REPLAY_FAILED, Wish.DELETE)
_OF_KEYS: Final = (Wish.ROLL, Wish.REVOKE)
EVERYTHING_SINCE: Final = "2027-03-01"
Row = Mapping[str, Any]


def request(drawn: random.Random, made: Sequence[Request], name: str, site: str) -> Request | None:
    """Return the next request. None if there is nothing to do."""
    endpoints, keys = (
        [one for one in made if one.wish is wish] for wish in (Wish.ENDPOINT, Wish.KEY)
    )
    wish = drawn.choice([Wish.ENDPOINT, Wish.KEY, *_OF_ENDPOINTS, *_OF_KEYS])
    number = len(made)
    if wish is Wish.ENDPOINT:
        body = {
            "url": f"{site}/admin-{number}",
            "events": ["refund.returned"],
            "idempotency_key": f"endpoint-{name}-{number}",
        }
        return Request(wish, body) if len(endpoints) < _ENDPOINTS else None
    if wish is Wish.KEY:
        body = {
            "name": f"key {number}",
            "scopes": ["read"],
            "idempotency_key": f"key-{name}-{number}",
        }
        return Request(wish, body) if len(keys) < _KEYS else None
    known = [one for one in (endpoints if wish in _OF_ENDPOINTS else keys) if one.succeeded]
    return _about(wish, drawn.choice(known), number) if known else None


def _about(wish: Wish, created: Request, number: int) -> Request:
    bodies: dict[Wish, dict[str, Any]] = {
        Wish.CHANGE: {"description": f"changed by {number}"},
        Wish.REPLAY_FAILED: {"since": EVERYTHING_SINCE},
        Wish.ROLL: {},
    }
    name = "endpoint_id" if wish in _OF_ENDPOINTS else "key_id"
    return Request(wish, bodies.get(wish), path={name: _answer(created)["id"]})


def _answer(one: Request) -> Any:
    assert one.told is not None
    return json.loads(one.told["body"])


def broken(rows: Sequence[Row], requests: Sequence[Request]) -> Iterator[str]:
    """Yield the broken promises; `rows` are all items of the payments table."""
    endpoints = {
        one.id: one
        for one in (endpoint_from_item(dict(row)) for row in _under(rows, "ENDPOINTS", "ENDPOINT#"))
    }
    (count,) = _under(rows, "ENDPOINTS", "COUNT")
    if count["endpoints"] != len(endpoints):
        yield f"{len(endpoints)} endpoints, counted {count['endpoints']}"
    for one in requests:
        if one.wish is Wish.ENDPOINT:
            yield from _endpoint(one, list(endpoints.values()), requests)
    yield from _tests(rows, requests)
    keys = [api_keys.from_item(dict(row)) for row in _under(rows, "APIKEYS", "APIKEY#")]
    for one in requests:
        if one.wish is Wish.KEY:
            yield from _key(one, keys, requests)


def _under(rows: Sequence[Row], partition: str, start: str) -> Iterator[Row]:
    return (row for row in rows if row["PK"] == partition and row["SK"].startswith(start))


def _of(requests: Sequence[Request], wish: Wish, resource_id: str) -> list[Request]:
    return [one for one in requests if one.wish is wish and resource_id in one.path.values()]


def _endpoint(
    one: Request, endpoints: Sequence[Endpoint], requests: Sequence[Request]
) -> Iterator[str]:
    """Check that there is one endpoint, as it was told, unless it is deleted."""
    found = [endpoint for endpoint in endpoints if endpoint.url == (one.body or {})["url"]]
    if len(found) > 1:
        yield f"{len(found)} endpoints of {one.key}"
    if not one.succeeded:
        return
    endpoint_id = _answer(one)["id"]
    if not found:
        if not _of(requests, Wish.DELETE, endpoint_id):
            yield f"{endpoint_id}: acknowledged, and lost"
        return
    (stored,) = found
    if any(asked.succeeded for asked in _of(requests, Wish.DELETE, endpoint_id)):
        yield f"{endpoint_id}: deleted, and there"
    wanted = {(asked.body or {})["description"] for asked in _of(requests, Wish.CHANGE, stored.id)}
    if stored.id != endpoint_id or stored.description not in {None, *wanted}:
        yield f"{endpoint_id}: stored as {stored}"
    yield from _secrets(stored, _of(requests, Wish.ROTATE, endpoint_id))


def _secrets(stored: Endpoint, rotations: Sequence[Request]) -> Iterator[str]:
    assert stored.inline_secrets is not None
    kept = [stored.inline_secrets.current, *(old.secret for old in stored.inline_secrets.old)]
    if len(set(kept)) < len(kept):
        yield f"{stored.id}: a secret is stored twice"
    shown = [_answer(one)["secret"] for one in rotations if one.succeeded]
    if set(shown) - set(kept) and len(kept) <= len(shown):
        yield f"{stored.id}: a rotated secret was shown, and does not sign"


def _tests(rows: Sequence[Row], requests: Sequence[Request]) -> Iterator[str]:
    """Check that each test event was stored once for each answer, and that none is left over."""
    stored = [row for row in rows if row["SK"].startswith("DELIVERY#") and _is_test(row)]
    asked = [one for one in requests if one.wish is Wish.TEST]
    if len(stored) > sum(one.asked for one in asked):
        yield f"{len(stored)} test events, asked for {sum(one.asked for one in asked)} times"
    events = {row["SK"].split("#")[1] for row in stored}
    for one in asked:
        if one.succeeded and _answer(one)["event_id"] not in events:
            yield f"the test event of {_answer(one)['id']}: acknowledged, and lost"
    for row in stored:
        if row["state"] == "pending":
            yield f"a test event is pending for ever: {row['PK']} {row['SK']}"


def _is_test(row: Row) -> bool:
    return str(row["type"]) == "endpoint.test"


def _key(one: Request, keys: Sequence[ApiKey], requests: Sequence[Request]) -> Iterator[str]:
    """Check that there is one key, and one more for each time it was rolled."""
    of_it = [key for key in keys if key.name == (one.body or {})["name"]]
    rolls = [roll for key in of_it for roll in _of(requests, Wish.ROLL, key.id)]
    if len(of_it) > 1 + len(rolls):
        yield f"{len(of_it)} keys of {one.key}, rolled {len(rolls)} times"
    if one.succeeded and not any(key.id == _answer(one)["id"] for key in of_it):
        yield f"{one.key}: acknowledged, and lost"
    for roll in rolls:
        if roll.succeeded and not any(key.id == _answer(roll)["id"] for key in of_it):
            yield f"{_answer(roll)['id']}: rolled, and lost"
    for key in of_it:
        revoked = any(asked.succeeded for asked in _of(requests, Wish.REVOKE, key.id))
        if revoked and key.revoked_at is None:
            yield f"{key.id}: told that it is revoked, and it lives"

"""Keys on both engines: who gets in, for how long, and what is kept of the secret."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.stub import Stubber

from chalicelib.api_keys import CACHE, ApiKeys, Issued, new_secret
from chalicelib.commands import CreateApiKey, RollApiKey, validated
from chalicelib.errors import (
    Conflict,
    Forbidden,
    NotFound,
    Unauthenticated,
    Unavailable,
    ValidationFailed,
)
from chalicelib.model import Scope
from chalicelib.store import Store
from tests.conftest import START, Clock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@pytest.fixture
def keys(store: Store, clock: Clock) -> ApiKeys:
    return process_of(store, clock)


def process_of(store: Store, clock: Clock) -> ApiKeys:
    """The keys as one more process has them, with a memory of its own."""
    return ApiKeys(stage="test", store=store, is_required=True, clock=clock)


def make(keys: ApiKeys, *scopes: str, **fields: Any) -> Issued:
    wanted = {"name": "dashboard", "scopes": list(scopes) or ["read"], **fields}
    return keys.create(validated(CreateApiKey, wanted))


def bearer(issued: Issued) -> str:
    return f"Bearer {issued.secret}"


@pytest.mark.parametrize("own", Scope)
@pytest.mark.parametrize("needed", Scope)
def test_a_scope_includes_those_before_it_and_no_other(
    keys: ApiKeys, own: Scope, needed: Scope
) -> None:
    order = list(Scope)
    issued = make(keys, own.value)
    if order.index(needed) <= order.index(own):
        assert keys.admit(bearer(issued), needed) == "dashboard"
    else:
        with pytest.raises(Forbidden):
            keys.admit(bearer(issued), needed)


def test_a_key_is_the_stages_with_256_bits_and_a_checksum() -> None:
    secrets = {new_secret("dev") for _ in range(100)}
    assert len(secrets) == 100
    for secret in secrets:
        prefix, stage, rest = secret.split("_")
        assert (prefix, stage) == ("pf", "dev")
        assert len(bytes.fromhex(rest)) == 32 + 4


def refusal(keys: ApiKeys, authorization: str | None) -> str:
    with pytest.raises(Unauthenticated) as refused:
        keys.admit(authorization, Scope.READ)
    assert refused.value.headers() == {"WWW-Authenticate": 'Bearer realm="payflow"'}
    return refused.value.detail


def test_every_way_of_being_wrong_is_told_alike(keys: ApiKeys, clock: Clock) -> None:
    live, revoked = make(keys), make(keys)
    expiring = make(keys, expires_at="2026-11-23")
    keys.revoke(revoked.key.id)
    clock.advance(days=2)
    wrong = [
        "", "Bearer", "Bearer ", live.secret, f"Basic {live.secret}", f"Bearer x{live.secret}",
        f"{bearer(live)}0", bearer(live)[:-1], f"Bearer {live.secret.upper()}",
        f"Bearer {new_secret('test')}", f"Bearer {new_secret('prod')}", "Bearer " + "x" * 5000,
        f"Bearer {live.secret} {live.secret}", bearer(revoked), bearer(expiring), "Bearer é",
    ]  # fmt: skip
    assert {refusal(keys, authorization) for authorization in wrong} == {
        "The API key is not valid."
    }
    assert keys.admit(bearer(live), Scope.READ) == "dashboard"
    assert keys.admit(f"bearer  {live.secret}", Scope.READ) == "dashboard"


def test_without_a_header_the_caller_is_told_to_send_one(keys: ApiKeys) -> None:
    assert "Authorization: Bearer" in refusal(keys, None)


def test_a_typing_error_and_another_stages_key_cost_no_look_up(
    engine: "DynamoDBClient", keys: ApiKeys
) -> None:
    issued = make(keys)
    with Stubber(engine) as nothing_expected:
        refusal(keys, bearer(issued)[:-1] + "x")
        refusal(keys, f"Bearer {new_secret('prod')}")
        nothing_expected.assert_no_pending_responses()


def test_nothing_that_is_kept_tells_the_key(engine: "DynamoDBClient", keys: ApiKeys) -> None:
    issued = make(keys, "admin")
    keys.admit(bearer(issued), Scope.READ)
    kept = str(engine.scan(TableName=keys.store._payments.name)["Items"])
    random_part = issued.secret.removeprefix("pf_test_")
    assert issued.key.digest in kept
    assert not [start for start in range(0, 64, 8) if random_part[start : start + 8] in kept]


def test_a_revoked_key_stops_here_at_once_and_elsewhere_within_a_minute(
    store: Store, clock: Clock
) -> None:
    here, elsewhere = process_of(store, clock), process_of(store, clock)
    issued = make(here)
    for process in (here, elsewhere):
        process.admit(bearer(issued), Scope.READ)
    here.revoke(issued.key.id)
    refusal(here, bearer(issued))
    clock.advance(seconds=CACHE.total_seconds())
    refusal(elsewhere, bearer(issued))
    assert timedelta(minutes=1) > CACHE


def test_revoking_again_keeps_the_first_time(keys: ApiKeys, clock: Clock) -> None:
    issued = make(keys)
    keys.revoke(issued.key.id)
    (first,) = keys.all()
    clock.advance(hours=1)
    keys.revoke(issued.key.id)
    assert keys.all() == [first]
    assert first.revoked_at is not None


def test_a_key_ends_at_its_expiry_even_while_it_is_remembered(keys: ApiKeys, clock: Clock) -> None:
    issued = make(keys, expires_at="2026-11-22T22:00:00Z")
    clock.now = clock.now.replace(hour=21, minute=59, second=59)
    assert keys.admit(bearer(issued), Scope.READ)
    clock.advance(seconds=2)
    refusal(keys, bearer(issued))


def test_rolling_leaves_both_keys_valid_for_the_overlap(keys: ApiKeys, clock: Clock) -> None:
    old = make(keys, "write")
    new = keys.roll(old.key.id, RollApiKey(overlap_hours=2))
    assert (new.key.name, new.key.scopes) == (old.key.name, old.key.scopes)
    clock.advance(hours=1, minutes=59)
    for issued in (old, new):
        assert keys.admit(bearer(issued), Scope.WRITE)
    clock.advance(minutes=2)
    refusal(keys, bearer(old))
    assert keys.admit(bearer(new), Scope.WRITE)


def test_rolling_without_overlap_ends_the_old_key_at_once(keys: ApiKeys) -> None:
    old = make(keys)
    keys.admit(bearer(old), Scope.READ)
    new = keys.roll(old.key.id, RollApiKey(overlap_hours=0))
    refusal(keys, bearer(old))
    assert keys.admit(bearer(new), Scope.READ)


def test_rolling_never_makes_a_key_live_longer(keys: ApiKeys, clock: Clock) -> None:
    old = make(keys, expires_at="2026-11-22T23:00:00Z")
    new = keys.roll(old.key.id, RollApiKey(overlap_hours=100))
    assert new.key.expires_at == old.key.expires_at
    clock.advance(hours=2)
    refusal(keys, bearer(old))


def test_a_key_that_has_ended_cannot_be_rolled(keys: ApiKeys, clock: Clock) -> None:
    revoked, expired = make(keys), make(keys, expires_at="2026-11-22T23:00:00Z")
    keys.revoke(revoked.key.id)
    clock.advance(hours=2)
    for ended in (revoked, expired):
        with pytest.raises(Conflict):
            keys.roll(ended.key.id, RollApiKey())
    assert len(keys.all()) == 2, "no new key was made"


def test_a_key_is_rolled_once(keys: ApiKeys, clock: Clock) -> None:
    old = make(keys)
    new = keys.roll(old.key.id, RollApiKey())
    with pytest.raises(Conflict):
        keys.roll(old.key.id, RollApiKey())
    assert {key.id for key in keys.all()} == {old.key.id, new.key.id}
    assert new.key.expires_at is None
    keys.revoke(old.key.id)
    refusal(keys, bearer(old))
    assert keys.admit(bearer(keys.roll(new.key.id, RollApiKey())), Scope.READ)


def test_a_key_that_is_revoked_while_it_is_rolled_gets_no_successor(
    keys: ApiKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = make(keys)
    get_key = type(keys.store).get_key

    def get_then_revoke(store: Store, key_id: str) -> Any:
        key = get_key(store, key_id)
        monkeypatch.undo()
        keys.revoke(key_id)
        return key

    monkeypatch.setattr(type(keys.store), "get_key", get_then_revoke)
    with pytest.raises(Conflict):
        keys.roll(old.key.id, RollApiKey())
    assert [key.id for key in keys.all()] == [old.key.id]


def test_the_list_has_every_key_newest_first_and_shows_no_secret(keys: ApiKeys) -> None:
    made = [make(keys, name=f"key {number}") for number in range(3)]
    listed = keys.all()
    assert [key.name for key in listed] == ["key 2", "key 1", "key 0"]
    shown = str([key.model_dump() for key in listed])
    assert not [issued for issued in made if issued.secret in shown or issued.key.digest in shown]


@pytest.mark.parametrize("key_id", ["", "KEY-", "KEY-" + "0" * 20, "KEY-" + "g" * 20, "x" * 3000])
def test_an_unknown_key_is_not_found(keys: ApiKeys, key_id: str) -> None:
    make(keys)
    with pytest.raises(NotFound):
        keys.revoke(key_id)
    with pytest.raises(NotFound):
        keys.roll(key_id, RollApiKey())


def test_the_last_use_is_noted_to_the_hour_with_one_write(store: Store, clock: Clock) -> None:
    keys = process_of(store, clock)
    issued = make(keys)
    writes: list[str] = []
    store._payments._dynamodb.meta.events.register(
        "before-call.dynamodb.UpdateItem", lambda **_: writes.append("UpdateItem")
    )
    for _ in range(4):  # within the hour, and each a look-up of its own
        keys.admit(bearer(issued), Scope.READ)
        clock.advance(seconds=31)
    (key,) = keys.all()
    assert key.last_used_at == START.replace(minute=0, second=0, microsecond=0)
    assert writes == ["UpdateItem"]


def test_where_keys_cannot_be_looked_up_nobody_gets_in(
    emulated_dynamodb: "DynamoDBClient", clock: Clock
) -> None:
    store = Store(emulated_dynamodb, payments_table="p", idempotency_table="i")
    with Stubber(emulated_dynamodb) as stub:
        stub.add_client_error("get_item", "InternalServerError", http_status_code=500)
        with pytest.raises(Unavailable):
            process_of(store, clock).admit(f"Bearer {new_secret('test')}", Scope.READ)


def test_where_no_key_is_required_everybody_is_admitted(store: Store, clock: Clock) -> None:
    keys = ApiKeys(stage="test", store=store, is_required=False, clock=clock)
    assert keys.admit(None, Scope.ADMIN) is None


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "system"}, "name"), ({"name": " "}, "name"), ({"name": "n" * 101}, "name"),
        ({"scopes": []}, "scopes"), ({"scopes": ["root"]}, "scopes.0"),
        ({"scopes": "read"}, "scopes"),
        ({"expires_at": "2026-11-21"}, "expires_at"), ({"expires_at": 7}, "expires_at"),
        ({"owner": "x"}, "owner"), ({"name": new_secret("test")}, "name"),
    ],
)  # fmt: skip
def test_a_bad_key_request_is_refused_by_name(
    keys: ApiKeys, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationFailed) as refused:
        make(keys, **fields)
    assert [error.field for error in refused.value.errors] == [field]

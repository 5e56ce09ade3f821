"""Keys: who gets in, for how long, and what is kept of the secret."""

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.stub import Stubber

from chalicelib.api_keys.commands import CreateApiKey, RollApiKey
from chalicelib.api_keys.models import ApiKey, NewApiKey, Scope
from chalicelib.api_keys.repository import ApiKeyRepository
from chalicelib.api_keys.service import CACHE, ApiKeys, new_secret
from chalicelib.errors import (
    Conflict,
    Forbidden,
    IdempotencyKeyReused,
    NotFound,
    Unauthenticated,
    Unavailable,
    ValidationFailed,
)
from chalicelib.idempotency import Created
from chalicelib.validation import validated
from chalicelib.values import Actor
from tests.conftest import START, TEST, Clock, key_repository_beside, new_repository

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@pytest.fixture
def key_repository(engine: "DynamoDBClient") -> ApiKeyRepository:
    """On the engine under test."""
    return key_repository_beside(new_repository(engine))


@pytest.fixture
def keys(key_repository: ApiKeyRepository, clock: Clock) -> ApiKeys:
    return process_of(key_repository, clock)


def process_of(repository: ApiKeyRepository, clock: Clock) -> ApiKeys:
    """The keys in one more process, with a cache of its own."""
    return ApiKeys(stage="test", repository=repository, is_required=True, clock=clock)


def listed(keys: ApiKeys) -> list[ApiKey]:
    return keys.all().api_keys


def make(keys: ApiKeys, *scopes: str, **fields: Any) -> NewApiKey:
    wanted = {"name": "dashboard", "scopes": list(scopes) or ["read"], **fields}
    return keys.create(validated(CreateApiKey, wanted))


def bearer(issued: NewApiKey) -> str:
    return f"Bearer {issued.key}"


@pytest.mark.parametrize("own", Scope)
@pytest.mark.parametrize("needed", Scope)
def test_scope_includes_the_lower_scopes_only(keys: ApiKeys, own: Scope, needed: Scope) -> None:
    order = list(Scope)
    issued = make(keys, own.value)
    if order.index(needed) <= order.index(own):
        assert keys.authorize(bearer(issued), needed) == Actor("dashboard", issued.id)
    else:
        with pytest.raises(Forbidden):
            keys.authorize(bearer(issued), needed)


def test_key_has_its_stage_256_bits_and_a_checksum() -> None:
    secrets = {new_secret("dev") for _ in range(100)}
    assert len(secrets) == 100
    for secret in secrets:
        prefix, stage, rest = secret.split("_")
        assert (prefix, stage) == ("pf", "dev")
        assert len(bytes.fromhex(rest)) == 32 + 4


def test_two_keys_of_one_name_are_told_apart(keys: ApiKeys) -> None:
    first, second = make(keys, "admin"), make(keys, "admin")
    actors = [keys.authorize(bearer(key), Scope.ADMIN) for key in (first, second)]
    assert actors == [Actor("dashboard", first.id), Actor("dashboard", second.id)]
    made = keys.create(CreateApiKey(name="till", scopes=[Scope.READ]), actor=actors[0])
    rolled = keys.roll(made.id, RollApiKey(), actor=Actor("dashboard", second.id))
    by_whom = {key.id: (key.created_by, key.created_by_id) for key in listed(keys)}
    assert by_whom == {
        first.id: (None, None),  # by an operator
        second.id: (None, None),
        made.id: ("dashboard", first.id),
        rolled.id: ("dashboard", second.id),
    }


def refusal(keys: ApiKeys, authorization: str | None) -> str:
    with pytest.raises(Unauthenticated) as refused:
        keys.authorize(authorization, Scope.READ)
    assert refused.value.headers() == {"WWW-Authenticate": 'Bearer realm="payflow"'}
    return refused.value.detail


def test_every_bad_key_gets_the_same_answer(keys: ApiKeys, clock: Clock) -> None:
    live, revoked = make(keys), make(keys)
    expiring = make(keys, expires_at="2026-11-23")
    keys.revoke(revoked.id)
    clock.advance(days=2)
    wrong = [
        "", "Bearer", "Bearer ", live.key, f"Basic {live.key}", f"Bearer x{live.key}",
        f"{bearer(live)}0", bearer(live)[:-1], f"Bearer {live.key.upper()}",
        f"Bearer {new_secret('test')}", f"Bearer {new_secret('prod')}", "Bearer " + "x" * 5000,
        f"Bearer {live.key} {live.key}", bearer(revoked), bearer(expiring), "Bearer é",
    ]  # fmt: skip
    assert {refusal(keys, authorization) for authorization in wrong} == {
        "The API key is not valid."
    }
    assert keys.authorize(bearer(live), Scope.READ) == Actor("dashboard", live.id)
    assert keys.authorize(f"bearer  {live.key}", Scope.READ) == Actor("dashboard", live.id)


def test_missing_header_is_named_in_the_refusal(keys: ApiKeys) -> None:
    assert "Authorization: Bearer" in refusal(keys, None)


def test_malformed_or_foreign_key_costs_no_read(engine: "DynamoDBClient", keys: ApiKeys) -> None:
    issued = make(keys)
    with Stubber(engine) as nothing_expected:
        refusal(keys, bearer(issued)[:-1] + "x")
        refusal(keys, f"Bearer {new_secret('prod')}")
        nothing_expected.assert_no_pending_responses()


def test_stored_item_does_not_reveal_the_key(engine: "DynamoDBClient", keys: ApiKeys) -> None:
    issued = make(keys, "admin")
    keys.authorize(bearer(issued), Scope.READ)
    kept = str(engine.scan(TableName=keys.repository._table.name)["Items"])
    random_part = issued.key.removeprefix("pf_test_")
    assert issued.digest in kept
    assert not [start for start in range(0, 64, 8) if random_part[start : start + 8] in kept]


def test_revoked_key_stops_here_at_once_and_elsewhere_in_a_minute(
    key_repository: ApiKeyRepository, clock: Clock
) -> None:
    here, elsewhere = process_of(key_repository, clock), process_of(key_repository, clock)
    issued = make(here)
    for process in (here, elsewhere):
        process.authorize(bearer(issued), Scope.READ)
    here.revoke(issued.id)
    refusal(here, bearer(issued))
    clock.advance(seconds=CACHE.total_seconds())
    refusal(elsewhere, bearer(issued))
    assert timedelta(minutes=1) > CACHE


def test_second_revocation_keeps_the_first_time(keys: ApiKeys, clock: Clock) -> None:
    issued = make(keys)
    keys.revoke(issued.id)
    (first,) = listed(keys)
    clock.advance(hours=1)
    keys.revoke(issued.id)
    assert listed(keys) == [first]
    assert first.revoked_at is not None


def test_cached_key_ends_at_its_expiry(keys: ApiKeys, clock: Clock) -> None:
    issued = make(keys, expires_at="2026-11-22T22:00:00Z")
    clock.now = clock.now.replace(hour=21, minute=59, second=59)
    assert keys.authorize(bearer(issued), Scope.READ)
    clock.advance(seconds=2)
    refusal(keys, bearer(issued))


def test_rolling_leaves_both_keys_valid_for_the_overlap(keys: ApiKeys, clock: Clock) -> None:
    old = make(keys, "write")
    new = keys.roll(old.id, RollApiKey(overlap_hours=2), actor=TEST)
    assert (new.name, new.scopes) == (old.name, old.scopes)
    clock.advance(hours=1, minutes=59)
    for issued in (old, new):
        assert keys.authorize(bearer(issued), Scope.WRITE)
    clock.advance(minutes=2)
    refusal(keys, bearer(old))
    assert keys.authorize(bearer(new), Scope.WRITE)


def test_rolling_without_overlap_ends_the_old_key_at_once(keys: ApiKeys) -> None:
    old = make(keys)
    keys.authorize(bearer(old), Scope.READ)
    new = keys.roll(old.id, RollApiKey(overlap_hours=0), actor=TEST)
    refusal(keys, bearer(old))
    assert keys.authorize(bearer(new), Scope.READ)


def test_roll_never_extends_the_old_key(keys: ApiKeys, clock: Clock) -> None:
    old = make(keys, expires_at="2026-11-22T23:00:00Z")
    new = keys.roll(old.id, RollApiKey(overlap_hours=100), actor=TEST)
    assert new.expires_at == old.expires_at
    clock.advance(hours=2)
    refusal(keys, bearer(old))


def test_ended_key_cannot_be_rolled(keys: ApiKeys, clock: Clock) -> None:
    revoked, expired = make(keys), make(keys, expires_at="2026-11-22T23:00:00Z")
    keys.revoke(revoked.id)
    clock.advance(hours=2)
    for ended in (revoked, expired):
        with pytest.raises(Conflict):
            keys.roll(ended.id, RollApiKey(), actor=TEST)
    assert len(listed(keys)) == 2, "no new key was made"


def test_a_key_is_rolled_once(keys: ApiKeys, clock: Clock) -> None:
    old = make(keys)
    new = keys.roll(old.id, RollApiKey(), actor=TEST)
    with pytest.raises(Conflict):
        keys.roll(old.id, RollApiKey(), actor=TEST)
    assert {key.id for key in listed(keys)} == {old.id, new.id}
    assert new.expires_at is None
    keys.revoke(old.id)
    refusal(keys, bearer(old))
    assert keys.authorize(bearer(keys.roll(new.id, RollApiKey(), actor=TEST)), Scope.READ)


def test_key_revoked_during_a_roll_gets_no_successor(
    keys: ApiKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = make(keys)
    find = ApiKeyRepository.find

    def find_then_revoke(repository: ApiKeyRepository, key_id: str) -> Any:
        key = find(repository, key_id)
        monkeypatch.undo()
        keys.revoke(key_id)
        return key

    monkeypatch.setattr(ApiKeyRepository, "find", find_then_revoke)
    with pytest.raises(Conflict):
        keys.roll(old.id, RollApiKey(), actor=TEST)
    assert [key.id for key in listed(keys)] == [old.id]


def test_the_list_has_every_key_newest_first_and_shows_no_secret(keys: ApiKeys) -> None:
    made = [make(keys, name=f"key {number}") for number in range(3)]
    shown_keys = listed(keys)
    assert [key.name for key in shown_keys] == ["key 2", "key 1", "key 0"]
    shown = str([key.model_dump() for key in shown_keys])
    assert not [issued for issued in made if issued.key in shown or issued.digest in shown]


@pytest.mark.parametrize("key_id", ["", "KEY-", "KEY-" + "0" * 20, "KEY-" + "g" * 20, "x" * 3000])
def test_an_unknown_key_is_not_found(keys: ApiKeys, key_id: str) -> None:
    make(keys)
    with pytest.raises(NotFound):
        keys.revoke(key_id)
    with pytest.raises(NotFound):
        keys.roll(key_id, RollApiKey(), actor=TEST)


def test_the_last_use_is_noted_to_the_hour_with_one_write(
    key_repository: ApiKeyRepository, clock: Clock
) -> None:
    keys = process_of(key_repository, clock)
    issued = make(keys)
    writes: list[str] = []
    key_repository._table._dynamodb.meta.events.register(
        "before-call.dynamodb.UpdateItem", lambda **_: writes.append("UpdateItem")
    )
    for _ in range(4):  # within the hour, and each a look-up of its own
        keys.authorize(bearer(issued), Scope.READ)
        clock.advance(seconds=31)
    (key,) = listed(keys)
    assert key.last_used_at == START.replace(minute=0, second=0, microsecond=0)
    assert writes == ["UpdateItem"]


def test_outage_of_the_table_lets_no_caller_in(
    emulated_dynamodb: "DynamoDBClient", clock: Clock
) -> None:
    key_repository = ApiKeyRepository(emulated_dynamodb, payments_table="p", idempotency_table="r")
    with Stubber(emulated_dynamodb) as stub:
        stub.add_client_error("get_item", "InternalServerError", http_status_code=500)
        with pytest.raises(Unavailable):
            process_of(key_repository, clock).authorize(f"Bearer {new_secret('test')}", Scope.READ)


def test_open_stage_authorizes_every_caller(key_repository: ApiKeyRepository, clock: Clock) -> None:
    keys = ApiKeys(stage="test", repository=key_repository, is_required=False, clock=clock)
    assert keys.authorize(None, Scope.ADMIN) is None


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
def test_invalid_key_request_names_the_bad_field(
    keys: ApiKeys, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationFailed) as refused:
        make(keys, **fields)
    assert [error.field for error in refused.value.errors] == [field]


def test_repeated_creation_answers_the_key_without_itself(keys: ApiKeys) -> None:
    wanted = CreateApiKey.model_validate(
        {
            "name": "till",
            "scopes": ["read"],
            "expires_at": "2026-12-31",
            "idempotency_key": "the-till-1",
        }
    )
    first = keys.create_once(wanted, actor=TEST)
    assert isinstance(first, NewApiKey)
    again = keys.create_once(wanted, actor=TEST)
    assert isinstance(again, Created)
    assert first.key not in again.body
    (stored,) = listed(keys)
    assert json.loads(again.body) == json.loads(stored.to_json())
    with pytest.raises(IdempotencyKeyReused):
        keys.create_once(wanted.model_copy(update={"name": "other"}), actor=TEST)

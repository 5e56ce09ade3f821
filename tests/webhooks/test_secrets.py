"""Where the secrets of endpoints lie: in plain text in the endpoint's row, or encrypted apart."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.aws.dynamodb import KeyRange, StaleVersion
from chalicelib.errors import EndpointLimitReached, NotFound, Unavailable
from chalicelib.values import new_id
from chalicelib.webhooks import items
from chalicelib.webhooks.commands import CreateEndpoint, UpdateEndpoint
from chalicelib.webhooks.models import MAX_ENDPOINTS, DeliveryStatus, Endpoint, NewEndpoint
from chalicelib.webhooks.signing import decrypted_secrets
from infra.ops.move_secrets import move_back, move_out
from tests.conftest import TEST
from tests.webhooks.conftest import OK, URL, Gateway, audit_event

_numbers = itertools.count()


def create(gateway: Gateway) -> NewEndpoint:
    url = f"{URL}/{next(_numbers)}"
    return gateway.webhooks.create(CreateEndpoint(url=url), actor=TEST)


def rows(gateway: Gateway, endpoint_id: str) -> tuple[Any, Any]:
    """Return the row of the endpoint, and that of its secrets."""
    table = gateway.repository._table
    return table.find(items.endpoint_key(endpoint_id)), table.find(items.secret_key(endpoint_id))


def kms(gateway: Gateway) -> Any:
    """Return the double behind the key of the API and, from now on, of the worker."""
    return gateway.webhooks.secrets_key._kms()


def move(gateway: Gateway, *, back: bool = False) -> int:
    moved = move_back if back else move_out
    return moved(gateway.repository, gateway.webhooks.secrets_key, "test", gateway.clock)


def test_secret_is_written_inline_until_an_operator_moves_secrets(gateway: Gateway) -> None:
    created = create(gateway)
    endpoint, secret = rows(gateway, created.id)
    assert (endpoint["secret"], secret) == (created.secret, None)


def test_secrets_move_out_of_their_endpoints_and_back_unchanged(gateway: Gateway) -> None:
    ids = [create(gateway).id, create(gateway).id]
    gateway.webhooks.rotate(ids[0])
    before = [rows(gateway, one) for one in ids]
    signing = [gateway.secrets_of(one) for one in ids]
    shown = gateway.webhooks.all()
    assert move(gateway) == 2
    for one, secrets in zip(ids, signing, strict=True):
        endpoint, secret = rows(gateway, one)
        assert not endpoint.keys() & {"secret", "oldSecrets"}
        assert not any(plain in str((endpoint, secret)) for plain in secrets)
        assert gateway.secrets_of(one) == secrets
    assert gateway.webhooks.all().model_dump() == shown.model_dump()
    assert move(gateway) == 0, "a second run has nothing to do"
    assert move(gateway, back=True) == 2
    assert [rows(gateway, one) for one in ids] == before
    assert move(gateway, back=True) == 0


def test_interrupted_move_continues_where_it_stopped(gateway: Gateway) -> None:
    first, second = create(gateway), create(gateway)
    kms(gateway).fails_after = 1
    with pytest.raises(Unavailable):
        move(gateway)
    kms(gateway).fails_after = None
    assert gateway.secrets_of(first.id) == [first.secret]
    assert gateway.secrets_of(second.id) == [second.secret]
    assert move(gateway) == 1


def test_new_endpoint_after_the_move_is_never_stored_in_plain_text(gateway: Gateway) -> None:
    move(gateway)
    created = create(gateway)
    endpoint, secret = rows(gateway, created.id)
    assert created.secret not in str((endpoint, secret))
    assert gateway.secrets_of(created.id) == [created.secret]


def test_endpoint_created_while_the_secrets_move_goes_where_they_go(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    for back in (False, True):
        stale, read = gateway.repository.registry(), gateway.repository.registry
        reads = iter([stale])
        move(gateway, back=back)
        with monkeypatch.context() as patch:

            def registry(reads: Any = reads, read: Any = read) -> Any:
                return next(reads, None) or read()

            patch.setattr(gateway.repository, "registry", registry)
            _, secret = rows(gateway, create(gateway).id)
        assert (secret is None) is back


def test_limit_of_endpoints_holds_for_secrets_apart(gateway: Gateway) -> None:
    move(gateway)
    for _ in range(MAX_ENDPOINTS):
        create(gateway)
    with pytest.raises(EndpointLimitReached):
        create(gateway)


def test_rotation_after_the_move_signs_with_both_secrets_for_a_day(gateway: Gateway) -> None:
    created = create(gateway)
    move(gateway)
    rotated = gateway.webhooks.rotate(created.id)
    assert gateway.secrets_of(created.id) == [rotated.secret, created.secret]
    shown = gateway.webhooks.get(created.id)
    assert shown.old_secret_expires_at == rotated.old_secret_expires_at is not None
    gateway.clock.advance(hours=24)
    assert gateway.secrets_of(created.id) == [rotated.secret]


def test_rotation_meanwhile_loses_no_secret_to_a_move_or_another_rotation(
    gateway: Gateway,
) -> None:
    created = create(gateway)
    before = gateway.repository.get(created.id)
    assert before.inline_secrets is not None
    rotated = gateway.webhooks.rotate(created.id)
    with pytest.raises(StaleVersion):
        gateway.repository.move_apart(before, before.inline_secrets, token(gateway))
    move(gateway)
    apart = gateway.repository.get(created.id)
    read = gateway.repository.find_secrets(created.id)
    assert read is not None
    late = apart.model_copy(update={"description": "late"})
    again = gateway.webhooks.rotate(created.id)
    with pytest.raises(StaleVersion):
        gateway.repository.rotate(
            apart, late, read, read.each(str.upper), audit_event(gateway, apart)
        )
    with pytest.raises(StaleVersion):
        gateway.repository.move_back(apart, read, read, token(gateway))
    assert gateway.secrets_of(created.id) == [again.secret, rotated.secret, created.secret]


def test_of_two_rotations_in_one_microsecond_one_is_refused(gateway: Gateway) -> None:
    created = create(gateway)
    move(gateway)
    apart, read = gateway.repository.get(created.id), gateway.repository.find_secrets(created.id)
    assert read is not None
    after, first = apart.model_copy(update={"description": "rotated"}), read.each(str.upper)
    gateway.repository.rotate(apart, after, read, first, audit_event(gateway, apart))
    with pytest.raises(StaleVersion):
        gateway.repository.rotate(
            apart, after, read, read.each(str.lower), audit_event(gateway, apart)
        )
    assert gateway.repository.find_secrets(created.id) == first


def test_update_read_before_the_move_brings_no_plain_text_back(gateway: Gateway) -> None:
    before = gateway.repository.get(create(gateway).id)
    move(gateway)
    with pytest.raises(StaleVersion):
        gateway.repository.change(
            before, before.model_copy(update={"description": "late"}), audit_event(gateway, before)
        )
    after = gateway.webhooks.update(before.id, UpdateEndpoint(description="new"))
    assert (after.description, after.inline_secrets) == ("new", None)


def test_deleted_endpoint_takes_its_secret_along(gateway: Gateway) -> None:
    created = create(gateway)
    move(gateway)
    read: Endpoint = gateway.repository.get(created.id)
    encrypted = gateway.repository.find_secrets(created.id)
    assert encrypted is not None
    after, other = read.model_copy(update={"description": "late"}), encrypted.each(str.upper)
    gateway.webhooks.delete(created.id)
    assert rows(gateway, created.id) == (None, None)
    writes: tuple[Callable[[], object], ...] = (
        lambda: gateway.repository.rotate(
            read, after, encrypted, other, audit_event(gateway, read)
        ),
        lambda: gateway.repository.move_back(read, encrypted, encrypted, token(gateway)),
        lambda: gateway.repository.change(read, after, audit_event(gateway, read)),
    )
    for write in writes:
        with pytest.raises(NotFound):
            write()
    assert rows(gateway, created.id) == (None, None)
    assert gateway.repository._table.query(KeyRange(f"SECRET#{created.id}")) == []


def test_outage_of_kms_counts_no_attempt_and_creates_no_endpoint(gateway: Gateway) -> None:
    move(gateway)
    created = create(gateway)
    delivery = gateway.new_delivery()
    kms(gateway).fails_after = 0
    with pytest.raises(Unavailable):
        gateway.worker.deliver(delivery.id)
    waiting = gateway.repository.get_delivery(delivery.id)
    assert (waiting.status, waiting.attempts) == (DeliveryStatus.PENDING, [])
    assert waiting.next_attempt_at is not None
    assert waiting.next_attempt_at <= gateway.clock.now, "due at once"
    with pytest.raises(Unavailable):
        create(gateway)
    with pytest.raises(Unavailable):
        gateway.webhooks.rotate(created.id)
    assert [one.id for one in gateway.repository.all()] == [created.id]
    kms(gateway).fails_after = None
    gateway.merchant.answer = OK
    assert gateway.deliver(delivery).status is DeliveryStatus.DELIVERED


def test_secret_is_decrypted_once_in_each_process(gateway: Gateway) -> None:
    move(gateway)
    create(gateway)
    for _ in range(3):
        gateway.deliver(gateway.new_delivery())
    assert kms(gateway).decrypted == 1


def token(gateway: Gateway) -> str:
    return new_id("ROT", gateway.clock())


@pytest.mark.parametrize(("stage", "endpoint_id"), [("test", "EP-other"), ("other", None)])
def test_ciphertext_is_useless_for_another_endpoint_or_stage(
    gateway: Gateway, stage: str, endpoint_id: str | None
) -> None:
    move(gateway)
    created = create(gateway)
    encrypted = gateway.repository.find_secrets(created.id)
    assert encrypted is not None
    with pytest.raises(AssertionError):  # as the double of KMS refuses another context
        decrypted_secrets(gateway.webhooks.secrets_key, stage, endpoint_id or created.id, encrypted)

"""Many at once, on the real stack: one key makes one payment, one payment ends once."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from chalicelib.messages import SettlePayment, encode
from chalicelib.payments.service import Payments
from tests.conftest import TEST, command
from tests.engines import IS_THOROUGH, wait_until
from tests.http_client import Reply
from tests.stack.conftest import Client, Stack, events, request, rows

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

T = TypeVar("T")
FINAL = {"payment.completed", "payment.failed"}


def at_once(times: int, action: Callable[[], T]) -> list[T]:
    """Run `action` in so many threads, let go at the same moment."""
    barrier = threading.Barrier(times)

    def run() -> T:
        barrier.wait()
        return action()

    with ThreadPoolExecutor(times) as pool:
        return [future.result() for future in [pool.submit(run) for _ in range(times)]]


def assert_made(
    replies: Sequence[Reply], number: int, *, others: Mapping[int, int] = MappingProxyType({})
) -> None:
    """So many 201s; or a 200 in the place of one whose caller first had a 503."""
    found = Counter(reply.status for reply in replies)
    late = number - found[201]
    assert late >= 0, found
    assert found == Counter(others) + Counter({201: number - late, 200: late}), found


@pytest.mark.parametrize("_round", range(8 if IS_THOROUGH else 4))
def test_fifty_concurrent_posts_of_one_key_create_one_payment(
    client: Client, dynamodb: "DynamoDBClient", _round: int
) -> None:
    fields = request(metadata={"simulate": "pending"})
    replies = at_once(50, lambda: client.post_until_answered(fields))
    assert_made(replies, 1, others={200: 49})
    assert len({reply.body for reply in replies}) == 1
    payment_id = replies[0].json["id"]
    assert events(dynamodb, payment_id) == ["payment.created"]
    listed = client.get(
        f"/v1/payments?limit=100&created_from={replies[0].json['created_at']}&status=processing"
    ).json["payments"]
    with_key = [
        payment["id"]
        for payment in listed
        if payment["idempotency_key"] == fields["idempotency_key"]
    ]
    assert with_key == [payment_id]


def test_fifty_concurrent_posts_of_fifty_keys_create_fifty_payments(client: Client) -> None:
    replies = at_once(50, lambda: client.post_until_answered(request()))
    assert_made(replies, 50)
    assert len({reply.json["id"] for reply in replies}) == 50


def test_concurrent_posts_of_two_requests_with_one_key_let_one_win(
    client: Client,
) -> None:
    fields = request()
    amounts = iter([10, 20] * 10)
    replies = at_once(20, lambda: client.post_until_answered(fields | {"amount": next(amounts)}))
    assert_made(replies, 1, others={200: 9, 422: 10})


@pytest.mark.parametrize(
    "wish", [{}, {"simulate": "completed"}, {"simulate": "failed:account_closed"}]
)
def test_a_message_delivered_forty_times_settles_its_payment_once(
    client: Client, dynamodb: "DynamoDBClient", sqs: "SQSClient", stack: Stack, wish: Any
) -> None:
    payment_id = client.post(request(metadata=wish)).json["id"]
    message = encode(SettlePayment(payment_id))
    for _ in range(4):
        sqs.send_message_batch(
            QueueUrl=stack.local.queue_url,
            Entries=[{"Id": str(index), "MessageBody": message} for index in range(10)],
        )
    first = client.settled(payment_id)
    wait_until(lambda: is_empty(sqs, stack.local.queue_url), "the queue is empty")
    assert client.payment(payment_id) == first
    assert_settled_once(dynamodb, payment_id)


def test_message_processed_by_eight_workers_settles_its_payment_once(
    payments: Payments, dynamodb: "DynamoDBClient"
) -> None:
    for _ in range(10):
        created = payments.create(command(), actor=TEST)
        at_once(8, lambda: payments.settle(created.resource_id))  # noqa: B023 (done in this turn)
        assert_settled_once(dynamodb, created.resource_id)


def assert_settled_once(dynamodb: "DynamoDBClient", payment_id: str) -> None:
    first, second = events(dynamodb, payment_id)
    assert (first, second in FINAL) == ("payment.created", True)
    assert rows(dynamodb, payment_id)["PAYMENT"]["version"] == {"N": "2"}


def is_empty(sqs: "SQSClient", url: str) -> bool:
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    waiting = (
        attributes["ApproximateNumberOfMessages"],
        attributes["ApproximateNumberOfMessagesNotVisible"],
    )
    return waiting == ("0", "0")


def test_poison_message_is_dead_lettered_alone(
    payments: Payments, client: Client, sqs: "SQSClient", stack: Stack
) -> None:
    made = [
        payments.create(command(metadata={"simulate": "completed"}), actor=TEST) for _ in range(9)
    ]
    poison = payments.create(command(metadata={"simulate": "error"}), actor=TEST).resource_id
    messages = [encode(SettlePayment(one.resource_id)) for one in made]
    messages.insert(4, encode(SettlePayment(poison)))
    sqs.send_message_batch(
        QueueUrl=stack.local.queue_url,
        Entries=[
            {"Id": str(index), "MessageBody": message} for index, message in enumerate(messages)
        ],
    )
    for one in made:
        assert client.settled(one.resource_id)["status"] == "completed"
    dead = wait_until(
        lambda: dead_letter(sqs, encode(SettlePayment(poison))), "it is dead", seconds=60
    )
    assert int(dead["Attributes"]["ApproximateReceiveCount"]) == 6, "five tries, and this look"
    wait_until(lambda: is_empty(sqs, stack.local.queue_url), "the queue is empty")
    assert [message for message in messages if dead_letter(sqs, message)] == [
        encode(SettlePayment(poison))
    ]
    assert client.payment(poison)["status"] == "processing"


def dead_letter(sqs: "SQSClient", body: str) -> Any:
    """The message with `body`, if it lies in the dead letter queue."""
    url = sqs.get_queue_url(QueueName="payflow-webhooks-dlq-local")["QueueUrl"]
    messages = sqs.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=10,
        VisibilityTimeout=0,
        MessageSystemAttributeNames=["All"],
    ).get("Messages", [])
    return next((message for message in messages if message["Body"] == body), None)


def test_foreign_messages_leave_no_row_and_unknown_types_are_kept(
    sqs: "SQSClient", dynamodb: "DynamoDBClient", client: Client, stack: Stack
) -> None:
    unknown_payment = "PAY-01M82Y8T27997E9EYD0G6SK6MT"
    unknown_type = '{"type":"of_tomorrow","refund_id":"REF-1"}'
    bodies = [encode(SettlePayment(unknown_payment)), "not json", "[]", unknown_type]
    for body in bodies:
        sqs.send_message(QueueUrl=stack.local.queue_url, MessageBody=body)
    wait_until(lambda: dead_letter(sqs, unknown_type), "it is in the dead letter queue")
    wait_until(lambda: is_empty(sqs, stack.local.queue_url), "the queue is empty")
    assert rows(dynamodb, unknown_payment) == {}
    assert [body for body in bodies if dead_letter(sqs, body)] == [unknown_type]
    assert client.get("/v1/health?deep=1").status == 200


def test_paging_is_exact_while_payments_are_added_and_settled(client: Client) -> None:
    made = [client.post(request()).json for _ in range(30)]
    since, before = made[0]["created_at"], [payment["id"] for payment in made]
    done = threading.Event()

    def keep_adding() -> None:
        while not done.is_set():
            client.post(request())

    writer = threading.Thread(target=keep_adding)
    writer.start()
    try:
        for _ in range(3):
            seen = walk(client, f"&created_from={since}")
            assert len(seen) == len(set(seen))
            assert [payment_id for payment_id in seen if payment_id in before] == before[::-1]
    finally:
        done.set()
        writer.join()


def walk(client: Client, filters: str = "") -> list[str]:
    found: list[str] = []
    cursor = ""
    while True:
        page = client.get(f"/v1/payments?limit=7{filters}{cursor}").json
        found += [payment["id"] for payment in page["payments"]]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"

"""What the dashboard is told of the whole: the totals against a recount, and the request log."""

from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.payments.service import Payments
from tests.conftest import TEST, command
from tests.engines import wait_until
from tests.stack.conftest import Client, Stack, request
from tests.stack.test_http import assert_invalid, assert_problem
from tests.stack.test_races import at_once, walk

Counts = dict[tuple[str, ...], tuple[int, Decimal]]


def recount(client: Client) -> Counts:
    """Every payment that the list shows, counted one by one."""
    counts: Counter[tuple[str, ...]] = Counter()
    volumes: defaultdict[tuple[str, ...], Decimal] = defaultdict(Decimal)
    with ThreadPoolExecutor(8) as pool:
        for payment in pool.map(client.payment, walk(client)):
            if payment["status"] != "processing":
                day = payment["created_at"][:10]
                book = "credits" if payment["direction"] == "credit" else "rows"
                key = (book, day, payment["currency"], payment["type"], payment["status"])
                counts[key] += 1
                volumes[key] += payment["amount"]
    return {key: (count, volumes[key]) for key, count in counts.items()}


def totals(client: Client) -> Counts:
    reply = client.get("/v1/stats")
    assert reply.status == 200, reply
    return {
        (book, row["day"], row["currency"], row["type"], row["status"]): (
            row["count"],
            row["volume"],
        )
        for book in ("rows", "credits")
        for row in reply.json[book]
    }


def test_totals_equal_a_recount_of_all_payments_of_the_stack(
    client: Client, payments: Payments
) -> None:
    wishes: list[dict[str, str]] = [{}, {"simulate": "failed:account_closed"}]
    for number in range(40):
        reply = client.post(
            request(
                amount=f"{number}.33",
                currency="USD" if number % 3 else "CAD",
                type=["wire", "eft", "interac", "ach"][number % 4],
                direction=["debit", "debit", "credit"][number % 3],
                metadata=wishes[number % 2],
            )
        )
        assert reply.status in {201, 400}, reply
    created = payments.create(command(), actor=TEST).resource_id
    at_once(8, lambda: payments.settle(created))  # eight workers, and one count

    def agree() -> Any:
        before = totals(client)
        found = recount(client)
        return found if found == before == totals(client) else None

    found = wait_until(agree, "the totals are the recount")
    assert {key[0] for key in found} == {"rows", "credits"}


def test_processing_payments_are_counted_and_labelled(client: Client) -> None:
    stay = [client.post(request(metadata={"simulate": "pending"})).json["id"] for _ in range(3)]
    answer = client.get("/v1/stats").json["processing"]
    assert answer["approximate"] is True
    listed = client.get("/v1/payments?status=processing&limit=100").json["payments"]
    assert {payment["id"] for payment in listed} >= set(stay)
    wait_until(
        lambda: client.get("/v1/stats").json["processing"]["count"] == count_of_processing(client),
        "the index and the count agree",
    )


def count_of_processing(client: Client) -> int:
    return len(walk(client, "&status=processing"))


@pytest.mark.parametrize(
    ("query", "field"),
    [("from=x", "from"), ("from=2026-01-01&to=2026-06-01", "from"), ("days=7", "days")],
)
def test_impossible_range_is_refused(client: Client, query: str, field: str) -> None:
    assert_invalid(client.get(f"/v1/stats?{query}"), field)


def logged(client: Client, query: str = "") -> Any:
    reply = client.get(f"/v1/logs?{query}")
    assert reply.status == 200, reply
    return reply.json["logs"]


def test_request_is_in_the_log_with_its_result(client: Client) -> None:
    created = client.post(request(merchant="Not for the log"))
    payment_id = created.json["id"]

    def found() -> Any:
        return [one for one in logged(client) if one["payment_id"] == payment_id]

    (one,) = wait_until(found, "the request is in the log")
    assert (one["method"], one["path"], one["status"]) == ("POST", "/v1/payments", 201)
    assert one["request_id"] == created.headers["X-Request-Id"]
    assert one["key"] is None
    assert one["latency_ms"] > 0
    assert "Not for the log" not in str(logged(client))


def test_log_is_newest_first_and_filtered_by_status_and_path(client: Client) -> None:
    assert_problem(client.get("/v1/payments/PAY-NONE"), 404, "not_found")
    assert client.post(request(amount="x")).status == 400
    wait_until(lambda: logged(client, "status=404&path=PAY-NONE"), "the 404 is in the log")
    wait_until(lambda: logged(client, "status=400&path=payments"), "the 400 is in the log")
    refused = logged(client, "status=4xx")
    assert {one["status"] // 100 for one in refused} == {4}
    times = [one["time"] for one in refused]
    assert times == sorted(times, reverse=True)


def test_two_hundred_requests_are_shown_and_no_more(client: Client) -> None:
    at_once(20, lambda: [client.get("/v1/health") for _ in range(11)])
    found = wait_until(
        lambda: (those := logged(client, "path=/v1/health"))[199:] and those, "200 are in the log"
    )
    assert len(found) == 200


def test_invalid_filter_is_refused(client: Client) -> None:
    assert_invalid(client.get("/v1/logs?status=paid"), "status")
    assert_invalid(client.get("/v1/logs?cursor=x"), "cursor")


def test_missing_log_group_is_503_until_it_is_back(client: Client, stack: Stack) -> None:
    logs = stack.aws("logs")
    logs.delete_log_group(logGroupName="/aws/lambda/payflow-local")
    try:
        # No other test asks for this: an answer is kept for some seconds.
        assert_problem(client.get("/v1/logs?path=no-group"), 503, "unavailable")
    finally:
        logs.create_log_group(logGroupName="/aws/lambda/payflow-local")
    wait_until(lambda: logged(client, "status=503"), "what was printed meanwhile is shipped")

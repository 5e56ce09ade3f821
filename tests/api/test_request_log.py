"""The request log, read back from a CloudWatch that gives lines oldest first, a page at a time."""

import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from chalicelib.api import request_log
from chalicelib.api.request_log import LoggedRequest, Logs, ReadLogs, RequestLog
from chalicelib.aws.clients import logs_client
from chalicelib.errors import Unavailable, ValidationFailed
from chalicelib.validation import validated
from tests.conftest import REGION, SESSION, START

GROUP = "/aws/lambda/payflow-test"
START_MS = int(START.timestamp() * 1000)


class CloudWatch:
    """Lines by their times, and what was asked. A page has at most `page` of them."""

    def __init__(self, lines: list[tuple[int, str]], page: int = 10_000) -> None:
        self.exceptions = SESSION.client("logs").exceptions
        self.asked: list[dict[str, Any]] = []
        self._lines = sorted(lines)
        self._page = page

    def filter_log_events(self, **asked: Any) -> Any:
        self.asked.append(asked)
        found = [line for line in self._lines if asked["startTime"] <= line[0] <= asked["endTime"]]
        start = int(asked.get("nextToken", 0))
        end = start + min(self._page, asked["limit"])
        more = {"nextToken": str(end)} if end < len(found) else {}
        return {"events": [{"message": message} for _, message in found[start:end]], **more}


def line(age_ms: int, **fields: Any) -> tuple[int, str]:
    """What `api` logged so long before START."""
    logged = {
        "kind": "request",
        "time_ms": START_MS - age_ms,
        "method": "GET",
        "path": "/v1/payments",
        "status": 200,
        "latency_ms": 12.3,
        "request_id": f"request-{age_ms}",
        "key": None,
        "payment_id": None,
    } | fields
    return START_MS - age_ms, json.dumps(logged)


def newest(logs: Any, **query: str) -> list[LoggedRequest]:
    return searched(logs, **query).logs


def searched(logs: Any, **query: str) -> Logs:
    return RequestLog(logs, GROUP).newest(validated(ReadLogs, query), START)


def ages_ms(found: list[LoggedRequest]) -> list[int]:
    return [int(request.request_id.removeprefix("request-")) for request in found]


def test_a_request_is_shown_as_it_was_logged() -> None:
    fields = {
        "method": "POST",
        "status": 201,
        "key": "dashboard",
        "key_id": "KEY-1",
        "payment_id": "PAY-1",
    }
    (request,) = newest(CloudWatch([line(1500, **fields)]))
    assert request.model_dump() == {
        "time": "2026-11-22T21:56:59.620000Z",
        "method": "POST",
        "path": "/v1/payments",
        "status": 201,
        "latency_ms": request.latency_ms,
        "request_id": "request-1500",
        "key": "dashboard",
        "key_id": "KEY-1",
        "payment_id": "PAY-1",
    }
    assert str(request.latency_ms) == "12.3"


def test_the_newest_come_first_and_none_is_older_than_an_hour() -> None:
    hour = 3_600_000
    ages = [0, 1, 59_999, 60_000, 60_001, 600_000, 600_001, hour - 1]
    logs = CloudWatch([line(age) for age in [*ages, hour, -1]])
    assert ages_ms(newest(logs)) == ages


def test_no_millisecond_of_the_hour_is_read_twice_or_left_out() -> None:
    logs = CloudWatch([])
    newest(logs)
    windows = sorted((asked["startTime"], asked["endTime"]) for asked in logs.asked)
    assert windows[-1][1] - windows[0][0] == 3_600_000 - 1
    assert all(later[0] == earlier[1] + 1 for earlier, later in itertools.pairwise(windows))


def test_line_that_was_shipped_twice_is_shown_once() -> None:
    ages = range(0, 50_000, 100)
    logs = CloudWatch([line(age) for age in ages] + [line(age) for age in ages])
    assert ages_ms(newest(logs)) == list(range(0, 20_000, 100))


def test_reading_stops_after_two_hundred_requests() -> None:
    logs = CloudWatch([line(age) for age in range(0, 50_000, 100)])
    assert ages_ms(newest(logs)) == list(range(0, 20_000, 100))
    assert len(logs.asked) == 1


@pytest.mark.parametrize("page", [5, 40, 10_000])
def test_window_with_too_many_lines_is_halved_and_loses_none(
    page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_log, "_LINES_A_PAGE", page)
    monkeypatch.setattr(request_log, "_MAX_WINDOWS_READ", 200)
    ages = [number * 137 for number in range(400)]
    assert ages_ms(newest(CloudWatch([line(age) for age in ages], page))) == ages[:200]


def test_full_page_counts_as_too_many_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An emulator cuts at its limit without a word."""
    monkeypatch.setattr(request_log, "_LINES_A_PAGE", 50)
    logs = CloudWatch([line(age) for age in range(0, 50_000, 100)])
    cut = logs.filter_log_events
    logs.filter_log_events = lambda **asked: {"events": cut(**asked)["events"]}  # type: ignore[method-assign]
    assert ages_ms(newest(logs)) == list(range(0, 20_000, 100))


def test_reading_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_log, "_LINES_A_PAGE", 3)
    logs: Any = CloudWatch([line(age) for age in range(3_000)], page=3)
    passing = itertools.count(0.0, 0.1).__next__  # at each look
    answer = RequestLog(logs, GROUP, passing).newest(ReadLogs(path="/v1/rare"), START)
    assert len(logs.asked) <= request_log._MAX_WINDOWS_READ + 30
    assert not answer.complete


def test_other_log_lines_are_ignored() -> None:
    others = ["", "START RequestId: 1", "[1]", '{"kind":"bug","status":500}', "{", "\ud800"]
    logs = CloudWatch([(START_MS - 5, other) for other in others] + [line(7)])
    assert ages_ms(newest(logs)) == [7]


@pytest.mark.parametrize(
    ("query", "statuses"),
    [
        ({}, [200, 404, 422, 503]),
        ({"status": "404"}, [404]),
        ({"status": "4xx"}, [404, 422]),
        ({"status": "5xx"}, [503]),
        ({"path": "keys"}, [422, 503]),
        ({"path": "keys", "status": "4xx"}, [422]),
        ({"path": "/v1/none"}, []),
    ],
)
def test_both_filters_narrow_what_is_shown(query: dict[str, str], statuses: list[int]) -> None:
    paths = {200: "/v1/payments", 404: "/v1/payments/x", 422: "/v1/api_keys", 503: "/v1/api_keys"}
    logs = CloudWatch([line(status, status=status, path=path) for status, path in paths.items()])
    assert [request.status for request in newest(logs, **query)] == statuses


def test_cloudwatch_is_asked_for_requests_of_the_status_only() -> None:
    logs = CloudWatch([])
    newest(logs, status="4xx", path='"} {')
    assert {asked["filterPattern"] for asked in logs.asked} == {
        '{ ($.kind = "request") && ($.status >= 400) && ($.status <= 499) }'
    }


@pytest.mark.parametrize(
    "query", [{"status": "6xx"}, {"status": "4x"}, {"status": "abc"}, {"q": "1"}]
)
def test_invalid_filter_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(ValidationFailed):
        validated(ReadLogs, query)


def refused(code: str) -> Callable[[], Any]:
    client = logs_client(REGION)
    stubber = Stubber(client)
    status = 400 if code == "ResourceNotFoundException" else 503
    for _ in range(2):  # botocore asks again after a 503
        stubber.add_client_error("filter_log_events", code, http_status_code=status)
    stubber.activate()
    return lambda: newest(client)


class Clock:
    """Seconds that pass only while CloudWatch is asked."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Pages:
    """Answers the pages of each window in turn; an exception is raised. Each takes `seconds`."""

    def __init__(self, *pages: Any, clock: Clock, seconds: float = 0.1) -> None:
        self.exceptions = SESSION.client("logs").exceptions
        self.asked: list[dict[str, Any]] = []
        self._pages = iter(pages)
        self._clock, self._seconds = clock, seconds

    def filter_log_events(self, **asked: Any) -> Any:
        self.asked.append(asked)
        self._clock.seconds += self._seconds
        page = next(self._pages)
        if isinstance(page, Exception):
            raise page
        return page


def page(*ages_ms: int, token: str | None = None) -> Any:
    events = [{"message": message} for _, message in (line(age) for age in ages_ms)]
    return {"events": events, **({"nextToken": token} if token else {})}


def throttled() -> ClientError:
    return ClientError({"Error": {"Code": "ThrottlingException"}}, "FilterLogEvents")


EMPTY = page()


def test_empty_pages_that_carry_a_token_are_followed_to_the_lines_behind_them() -> None:
    clock = Clock()
    logs: Any = Pages(
        *(page(token=str(number)) for number in range(9)), page(7), EMPTY, EMPTY, clock=clock
    )
    answer = RequestLog(logs, GROUP, clock).newest(ReadLogs(), START)
    assert (ages_ms(answer.logs), answer.complete) == ([7], True)
    assert [asked.get("nextToken") for asked in logs.asked[:10]] == [None, *map(str, range(9))]


def test_tokens_that_never_end_are_followed_for_three_seconds() -> None:
    clock = Clock()
    pages = (page(number, token="on") for number in itertools.count())
    logs: Any = Pages(*itertools.islice(pages, 100), clock=clock, seconds=0.25)
    answer = RequestLog(logs, GROUP, clock).newest(ReadLogs(), START)
    assert (len(answer.logs), answer.complete) == (12, False)


@pytest.mark.parametrize(
    ("pages", "read"),
    [
        ([throttled()], []),
        ([page(3), throttled()], [3]),
        ([page(5, token="on"), throttled()], [5]),
    ],
    ids=["at-first", "at-a-later-window", "at-a-later-page"],
)
def test_throttle_answers_what_was_read_and_says_so(pages: list[Any], read: list[int]) -> None:
    clock = Clock()
    logs: Any = Pages(*pages, clock=clock)
    answer = RequestLog(logs, GROUP, clock).newest(ReadLogs(), START)
    assert (ages_ms(answer.logs), answer.complete) == (read, False)
    assert len(logs.asked) == len(pages), "it does not ask on"


def test_answer_is_kept_for_three_seconds_for_the_same_query_only() -> None:
    clock = Clock()
    logs: Any = Pages(*[page(1), EMPTY, EMPTY] * 3, clock=clock, seconds=0)
    log = RequestLog(logs, GROUP, clock)
    first = log.newest(ReadLogs(), START)
    assert log.newest(ReadLogs(), START) is first
    assert len(logs.asked) == 3
    log.newest(ReadLogs(status="4xx"), START)
    assert len(logs.asked) == 6
    clock.seconds = 3.0
    assert log.newest(ReadLogs(), START) is not first
    assert len(log._kept) == 1, "what is too old is dropped"


def test_hour_that_was_read_through_is_complete() -> None:
    assert searched(CloudWatch([line(5)])).complete
    assert searched(CloudWatch([line(age) for age in range(300)])).complete, "200 were found"


@pytest.mark.parametrize("code", ["ServiceUnavailableException", "ResourceNotFoundException"])
def test_outage_of_the_log_is_unavailable(code: str) -> None:
    with pytest.raises(Unavailable):
        refused(code)()


def test_times_are_utc() -> None:
    (request,) = newest(CloudWatch([line(0)]))
    assert request.time == datetime.fromtimestamp(START_MS / 1000, UTC)
    assert request.time.utcoffset() == timedelta()

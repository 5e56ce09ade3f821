"""The API's requests of the last hour, read back from its log: the only module that talks to
CloudWatch Logs.

Guarantee: what is shown is what `api` has logged of each request, newest first and without a gap;
nothing is written for it on a request's path. CloudWatch takes some seconds to show a line, and
gives lines oldest first: so the hour is read in windows, the newest first, and one that has more
lines than a few pages is halved. The windows that are read are bounded in number, so that under
heavy traffic a rare filter may end before the hour does.

    an hour ago ├──────────── 50 min ────────────┼─── 9 min ───┼ 1 min ┤ now
                                                 └ too many? ┬─┘
                                                  2nd ◀──────┼─▶ 1st
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

from pydantic import ConfigDict, Field, ValidationError, WithJsonSchema

from chalicelib import exact_json
from chalicelib.aws import outage_is_unavailable
from chalicelib.commands import ReadLogs
from chalicelib.errors import MalformedJson, Unavailable
from chalicelib.model import Timestamp
from chalicelib.schema import Schema

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import FilterLogEventsResponseTypeDef

NEWEST: Final = 200
_WINDOWS: Final = (timedelta(minutes=50), timedelta(minutes=9), timedelta(minutes=1))
_PAGES: Final = 3
_LINES_A_PAGE: Final = 10_000
"""CloudWatch's limit; a page ends at 1 MB too."""
_MAX_WINDOWS_READ: Final = 15
_MS: Final = timedelta(milliseconds=1)
_SHORTEST_MS: Final = 1000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MS


class LoggedRequest(Schema):
    """One request that reached the API's function, without its body."""

    model_config = ConfigDict(frozen=True)

    time: Timestamp = Field(description="when it was answered")
    method: str
    path: str
    status: int
    latency_ms: Annotated[Decimal, WithJsonSchema({"type": "number", "examples": [12.3]})]
    request_id: str
    key: str | None = Field(description="the name of the API key")
    payment_id: str | None


class Logs(Schema):
    """The newest requests of the last hour, newest first."""

    logs: list[LoggedRequest]


class _Window(NamedTuple):
    """Milliseconds since the epoch, both included."""

    start: int
    end: int

    def halves(self) -> "tuple[_Window, _Window]":
        middle = (self.start + self.end) // 2
        return _Window(self.start, middle), _Window(middle + 1, self.end)


class RequestLog:
    """The log of one stage's API."""

    def __init__(self, logs: "CloudWatchLogsClient", group: str) -> None:
        self._logs = logs
        self._group = group

    def newest(self, query: ReadLogs, now: datetime) -> Logs:
        """At most `NEWEST` that the filters let through. Raises Unavailable."""
        found: dict[str, LoggedRequest] = {}
        ahead = list(_hour_before(now))
        for _ in range(_MAX_WINDOWS_READ):
            if not ahead or len(found) >= NEWEST:
                break
            window = ahead.pop()
            lines, is_whole = self._read(window, _pattern(query))
            if not is_whole and window.end - window.start >= _SHORTEST_MS:
                ahead += window.halves()
                continue
            requests = [request for line in lines for request in _request(line)]
            requests.sort(key=lambda request: request.time, reverse=True)
            for request in requests:
                if _matches(request, query):  # a line may have been shipped twice
                    found.setdefault(request.request_id, request)
        return Logs(logs=list(found.values())[:NEWEST])

    def _read(self, window: _Window, pattern: str) -> tuple[list[str], bool]:
        """The lines of a window, and whether these are all."""
        lines: list[str] = []
        place: dict[str, Any] = {}
        for _ in range(_PAGES):
            answer = self._filter(window, filterPattern=pattern, **place)
            lines += [event["message"] for event in answer["events"]]
            if "nextToken" not in answer:
                return lines, len(answer["events"]) < _LINES_A_PAGE
            place = {"nextToken": answer["nextToken"]}
        return lines, False

    def _filter(self, window: _Window, **how: Any) -> "FilterLogEventsResponseTypeDef":
        try:
            with outage_is_unavailable("CloudWatch Logs"):
                return self._logs.filter_log_events(
                    logGroupName=self._group,
                    startTime=window.start,
                    endTime=window.end,
                    limit=_LINES_A_PAGE,
                    **how,
                )
        except self._logs.exceptions.ResourceNotFoundException as error:
            raise Unavailable(f"There is no log group {self._group}.") from error


def _hour_before(now: datetime) -> Iterator[_Window]:
    """Its windows, oldest first. What is logged from now on is left to the next who asks."""
    start = now - sum(_WINDOWS, timedelta())
    for length in _WINDOWS:
        yield _Window(_milliseconds(start) + 1, _milliseconds(start + length))
        start += length


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MS


def _pattern(query: ReadLogs) -> str:
    """What CloudWatch can leave out before it answers; `_matches` has the last word."""
    wanted = ['$.kind = "request"']
    if query.status is not None:
        lowest, highest = query.status.replace("x", "0"), query.status.replace("x", "9")
        wanted += [f"$.status >= {lowest}", f"$.status <= {highest}"]
    return "{ " + " && ".join(f"({part})" for part in wanted) + " }"


def _matches(request: LoggedRequest, query: ReadLogs) -> bool:
    wanted = (query.status or "").rstrip("x")
    return str(request.status).startswith(wanted) and (query.path or "") in request.path


def _request(line: str) -> Iterator[LoggedRequest]:
    """Nothing, for a line that tells of something else, or in another version's words."""
    try:
        fields = exact_json.loads(line.encode("utf-8", "replace"))
    except MalformedJson:  # Lambda's own words
        return
    if not isinstance(fields, dict) or fields.get("kind") != "request":
        return
    time_ms = fields.get("time_ms")
    if isinstance(time_ms, Decimal) and 0 <= time_ms <= _LAST_MS:
        time = _EPOCH + int(time_ms) * _MS
        with suppress(ValidationError):
            yield LoggedRequest.model_validate(fields | {"time": time})

"""The API requests of the last hour, read back from the log: the only module that calls
CloudWatch Logs.

Guarantee: it returns the requests that `routing` logged, newest first and without gaps, or says
that it could not. Requests cost no extra write. CloudWatch shows a line after some seconds and
returns lines oldest first. So the hour is read in windows, newest first. A window with too many
lines is halved. CloudWatch may answer pages without a line, and allows some five calls a second in
an account. So the time and the windows are limited, and an answer is kept for some seconds.

    an hour ago ├──────────── 50 min ────────────┼─── 9 min ───┼ 1 min ┤ now
                                                 └ too many? ┬─┘
                                                  2nd ◀──────┼─▶ 1st
"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum, auto
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, WithJsonSchema

from chalicelib import exact_json
from chalicelib.aws.clients import Throttled, outage_is_unavailable
from chalicelib.errors import MalformedJson, Unavailable
from chalicelib.schema import Schema
from chalicelib.validation import pattern
from chalicelib.values import Timestamp

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import FilterLogEventsResponseTypeDef

NEWEST: Final = 200
_WINDOWS: Final = (timedelta(minutes=50), timedelta(minutes=9), timedelta(minutes=1))
_BUDGET_SECONDS: Final = 3.0
"""After this, no further page is asked for."""
_KEPT_SECONDS: Final = 3.0
_LINES_A_PAGE: Final = 10_000
"""CloudWatch's limit; a page ends at 1 MB too."""
_MAX_WINDOWS_READ: Final = 15
_MS: Final = timedelta(milliseconds=1)
_SHORTEST_MS: Final = 1000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MS
_STATUS: Final = re.compile("[1-5]([0-9]{2}|xx)")


def _check_status(text: str) -> str:
    if not _STATUS.fullmatch(text):
        raise ValueError("must be an HTTP status such as 404, or a class such as 4xx")
    return text


class ReadLogs(Schema):
    """The requests of the last hour that match both filters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Annotated[
        str | None,
        Field(
            description="a status such as 404, or a class such as 4xx",
            examples=["404", "4xx"],
            json_schema_extra=pattern(f"^{_STATUS.pattern}$"),
        ),
        AfterValidator(_check_status),
    ] = None
    path: Annotated[str | None, Field(max_length=200, description="a part of the path")] = None


class LoggedRequest(Schema):
    """One request that reached the API, without its body."""

    model_config = ConfigDict(frozen=True)

    time: Timestamp = Field(description="when it was answered")
    method: str
    path: str
    status: int
    latency_ms: Annotated[Decimal, WithJsonSchema({"type": "number", "format": "double"})]
    request_id: str
    key: str | None = Field(description="the name of the API key")
    key_id: str | None = Field(default=None, description="its id; null before version 0.2.0")
    payment_id: str | None


class Logs(Schema):
    """The newest requests of the last hour, newest first."""

    logs: list[LoggedRequest]
    complete: bool = Field(
        description="false if CloudWatch was too slow or refused to read on: requests are missing, "
        "so ask again in some seconds, or with a narrower filter"
    )


class _Kept(NamedTuple):
    until: float
    answer: Logs


class _End(Enum):
    """Why no further page of a window was read."""

    WHOLE = auto()
    TOO_MANY_LINES = auto()
    INTERRUPTED = auto()


class _Window(NamedTuple):
    """Milliseconds since the epoch, both included."""

    start: int
    end: int

    def halves(self) -> "tuple[_Window, _Window]":
        middle = (self.start + self.end) // 2
        return _Window(self.start, middle), _Window(middle + 1, self.end)


class RequestLog:
    """The log of one stage's API."""

    def __init__(
        self,
        logs: "CloudWatchLogsClient",
        group: str,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logs = logs
        self._group = group
        self._seconds = seconds
        self._kept: dict[ReadLogs, _Kept] = {}
        self._keeping = threading.Lock()

    def newest(self, query: ReadLogs, now: datetime) -> Logs:
        """Return at most `NEWEST` requests that match the filters. Raises Unavailable."""
        began = self._seconds()
        with self._keeping:
            self._kept = {one: kept for one, kept in self._kept.items() if kept.until > began}
            if query in self._kept:
                return self._kept[query].answer
        answer = self._search(query, now, began + _BUDGET_SECONDS)
        with self._keeping:
            self._kept[query] = _Kept(self._seconds() + _KEPT_SECONDS, answer)
        return answer

    def _search(self, query: ReadLogs, now: datetime, deadline: float) -> Logs:
        found: dict[str, LoggedRequest] = {}
        ahead = list(_hour_before(now))
        for _ in range(_MAX_WINDOWS_READ):
            if not ahead or len(found) >= NEWEST:
                break
            window = ahead.pop()
            lines, end = self._read(window, _filter_pattern(query), deadline)
            if end is _End.TOO_MANY_LINES:
                ahead += window.halves()
                continue
            requests = [request for line in lines for request in _request(line)]
            requests.sort(key=lambda request: request.time, reverse=True)
            for request in requests:
                if _matches(request, query):  # CloudWatch may hold a line twice
                    found.setdefault(request.request_id, request)
            if end is _End.INTERRUPTED:
                ahead.append(window)
                break
        logs = list(found.values())[:NEWEST]
        return Logs(logs=logs, complete=not ahead or len(found) >= NEWEST)

    def _read(self, window: _Window, pattern: str, deadline: float) -> tuple[list[str], _End]:
        """Return the lines of a window, and why there were no more."""
        lines: list[str] = []
        place: dict[str, Any] = {}
        while True:
            try:
                answer = self._filter(window, filterPattern=pattern, **place)
            except Throttled:
                return lines, _End.INTERRUPTED
            lines += [event["message"] for event in answer["events"]]
            if len(lines) >= _LINES_A_PAGE and window.end - window.start >= _SHORTEST_MS:
                return lines, _End.TOO_MANY_LINES
            if "nextToken" not in answer:
                return lines, _End.WHOLE
            if self._seconds() >= deadline:
                return lines, _End.INTERRUPTED
            place = {"nextToken": answer["nextToken"]}

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
    """Yield the windows of the last hour, oldest first. Later lines are left out."""
    start = now - sum(_WINDOWS, timedelta())
    for length in _WINDOWS:
        yield _Window(_milliseconds(start) + 1, _milliseconds(start + length))
        start += length


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MS


def _filter_pattern(query: ReadLogs) -> str:
    """Return a CloudWatch pattern that excludes most other lines; `_matches` is exact."""
    wanted = ['$.kind = "request"']
    if query.status is not None:
        lowest, highest = query.status.replace("x", "0"), query.status.replace("x", "9")
        wanted += [f"$.status >= {lowest}", f"$.status <= {highest}"]
    return "{ " + " && ".join(f"({part})" for part in wanted) + " }"


def _matches(request: LoggedRequest, query: ReadLogs) -> bool:
    wanted = (query.status or "").rstrip("x")
    return str(request.status).startswith(wanted) and (query.path or "") in request.path


def _request(line: str) -> Iterator[LoggedRequest]:
    """Yield the request in a line; nothing for other lines and unknown versions."""
    try:
        fields = exact_json.loads(line.encode("utf-8", "replace"))
    except MalformedJson:  # a line of Lambda itself
        return
    if not isinstance(fields, dict) or fields.get("kind") != "request":
        return
    time_ms = fields.get("time_ms")
    if isinstance(time_ms, Decimal) and 0 <= time_ms <= _LAST_MS:
        time = _EPOCH + int(time_ms) * _MS
        with suppress(ValidationError):
            yield LoggedRequest.model_validate(fields | {"time": time})

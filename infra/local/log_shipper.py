"""Does what Lambda does with what a function prints: line by line into its CloudWatch log group.

It follows the file that the API's process prints into, so that the API never waits for it.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import InputLogEventTypeDef

LOOK_SECONDS: Final = 0.2
_STREAM: Final = "local"
_MAX_LINES: Final = 1000
_MAX_BYTES: Final = 500_000
"""A call takes 10,000 lines and 1 MB, with 26 bytes more for each line."""


@dataclass(frozen=True)
class LogShipper:
    """One file, and the log group that it goes into."""

    logs: "CloudWatchLogsClient"
    group: str
    file: Path

    def run(self) -> None:
        """For ever; what the emulator does not take is offered again."""
        with self.file.open("rb") as printed:
            while True:
                place = printed.tell()
                try:
                    while batch := list(_complete_lines(printed)):
                        self._put(batch)
                        place = printed.tell()
                except (BotoCoreError, ClientError):  # it may be back in a moment
                    printed.seek(place)
                time.sleep(LOOK_SECONDS)

    def _put(self, lines: list[bytes]) -> None:
        events = sorted(map(_event, lines), key=lambda event: event["timestamp"])
        try:
            self.logs.put_log_events(
                logGroupName=self.group, logStreamName=_STREAM, logEvents=events
            )
        except self.logs.exceptions.ResourceNotFoundException:
            self.logs.create_log_stream(logGroupName=self.group, logStreamName=_STREAM)
            self._put(lines)


def _complete_lines(printed: BinaryIO) -> Iterator[bytes]:
    """As many as a call takes; what has no end yet is left for the next look."""
    size_bytes = 0
    for _ in range(_MAX_LINES):
        place = printed.tell()
        line = printed.readline()
        if not line.endswith(b"\n") or size_bytes > _MAX_BYTES:
            printed.seek(place)
            return
        size_bytes += len(line)
        if line.strip():
            yield line


def _event(line: bytes) -> "InputLogEventTypeDef":
    text = line.decode("utf-8", "replace").rstrip()
    try:
        timestamp = json.loads(text)["time_ms"]
    except (ValueError, TypeError, KeyError):  # not one of telemetry's lines
        timestamp = time.time_ns() // 1_000_000
    return {"timestamp": timestamp, "message": text}

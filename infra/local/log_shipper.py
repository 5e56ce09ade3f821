"""Ship the API's output to its CloudWatch log group line by line, as Lambda does.

It follows the file that the API's process writes, so the API never waits for it.
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
"""The limits of one call are 10,000 lines, and 1 MB with 26 bytes added per line."""


@dataclass(frozen=True)
class LogShipper:
    """One file, and the log group that gets its lines."""

    logs: "CloudWatchLogsClient"
    group: str
    file: Path

    def run(self) -> None:
        """Run forever; retry lines that the emulator did not accept."""
        with self.file.open("rb") as printed:
            while True:
                place = printed.tell()
                try:
                    while batch := list(_complete_lines(printed)):
                        self._put(batch)
                        place = printed.tell()
                except (BotoCoreError, ClientError):  # retry: the emulator may recover
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
    """Yield as many lines as one call takes; leave an unfinished line for later."""
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
    except (ValueError, TypeError, KeyError):  # not a line from chalicelib.telemetry
        timestamp = time.time_ns() // 1_000_000
    return {"timestamp": timestamp, "message": text}

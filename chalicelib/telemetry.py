"""JSON log lines and CloudWatch metrics, one line each on standard output.

A metric is a log line in CloudWatch's embedded metric format, so that it costs no call:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
Bodies, keys and secrets are never logged. Text that looks like an API key or a webhook secret is
redacted in every line, because an error's text may contain one.
"""

import re
import sys
import time
import traceback
from typing import Any, Final

import simplejson

NAMESPACE = "PayFlow"
_SECRET: Final = re.compile(r"(pf_[a-z0-9]+_|whsec_)[a-z0-9+/=_-]{8,}", re.IGNORECASE)


def log(kind: str, **fields: Any) -> None:
    """Write one line: its `kind`, the time in milliseconds, and `fields`."""
    _write({"kind": kind, "time_ms": _now_ms(), **fields})


def log_exception(kind: str, error: BaseException, **fields: Any) -> None:
    """Write one line with the error and its traceback."""
    trace = "".join(traceback.format_exception(error))
    log(kind, error=f"{type(error).__name__}: {error}", trace=trace, **fields)


def count(stage: str, **metrics: int) -> None:
    """Write counts as CloudWatch metrics of the stage."""
    _write(
        {
            "_aws": {
                "Timestamp": _now_ms(),
                "CloudWatchMetrics": [
                    {
                        "Namespace": NAMESPACE,
                        "Dimensions": [["Stage"]],
                        "Metrics": [{"Name": name, "Unit": "Count"} for name in metrics],
                    }
                ],
            },
            "Stage": stage,
            **metrics,
        }
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _write(line: dict[str, Any]) -> None:
    # One call for each line, so that lines of different threads do not mix.
    text = simplejson.dumps(line, use_decimal=True, default=str)
    sys.stdout.write(_SECRET.sub(r"\1[redacted]", text) + "\n")
    sys.stdout.flush()

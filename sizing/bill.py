"""Dollars, by AWS's list prices, of what was seen to be used. No free tier is taken off in here."""

import json
import math
import tomllib
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from sizing.flows import API, COURIER, PROCESSOR, Usage

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parent
DAYS_A_MONTH: Final = 30
SECONDS_A_MONTH: Final = DAYS_A_MONTH * 86_400
MILLION: Final = 1_000_000
GB: Final = 1_000_000_000

AT_ONCE: Final = {"settle ten": 10, "stats of 30 days": 16}
"""Flows that make their calls of one kind side by side, and how many."""

_MB_OF_ONE_PROCESSOR: Final = 1769
"""https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html"""

_POLLERS: Final = 5
_POLLS_A_MINUTE: Final = 3
"""Lambda asks an idle queue by five long polls of 20 seconds each."""

_KMS_USES_A_MONTH: Final = 2 * 4 * 12 * 24 * DAYS_A_MONTH
"""At most: a table's key is asked for every five minutes by who works with it; four roles do."""

LINES_OF_LAMBDA: Final = (
    "START RequestId: c6af9ac6-7b61-11e6-9a41-93e8deadbeef Version: $LATEST\n",
    "END RequestId: c6af9ac6-7b61-11e6-9a41-93e8deadbeef\n",
    "REPORT RequestId: c6af9ac6-7b61-11e6-9a41-93e8deadbeef\tDuration: 12.34 ms\t"
    "Billed Duration: 13 ms\tMemory Size: 1024 MB\tMax Memory Used: 98 MB\t\n"
    "XRAY TraceId: 1-5759e988-bd862e3fe1be46a994272793\tSegmentId: 53995c3f42cd8ad8\t"
    "Sampled: true\n",
)
"""What Lambda itself writes of each run."""

_ACCESS_LOG_VALUES: Final = {
    "$context.requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
    "$context.requestTime": "22/Nov/2026:21:57:01 +0000",
    "$context.identity.sourceIp": "203.0.113.107",
    "$context.httpMethod": "POST",
    "$context.resourcePath": "/v1/payments/{payment_id}",
    "$context.status": "201",
    "$context.error.responseType": "-",
    "$context.integration.error": "-",
    "$context.responseLatency": "123",
    "$context.responseLength": "1234",
}


@cache
def prices() -> dict[str, Any]:
    return tomllib.loads((HERE / "prices.toml").read_text())


@cache
def timing() -> dict[str, Any]:
    return tomllib.loads((HERE / "milliseconds.toml").read_text())


@cache
def memory_mb() -> dict[str, int]:
    """What each function is deployed with."""
    config = json.loads((ROOT / ".chalice" / "config.json").read_text())
    functions = config["stages"]["prod"]["lambda_functions"]
    named = {name: settings["lambda_memory_size"] for name, settings in functions.items()}
    return {API: named.pop("api_handler"), **named}


@cache
def templates() -> tuple[dict[str, Any], dict[str, Any]]:
    paths = (ROOT / "infra" / "backend.yaml", ROOT / "infra" / "package.yaml")
    backend, package = (yaml.safe_load(path.read_text()) for path in paths)
    return backend, package


def alarms() -> int:
    """How many a stage has."""
    resources = [
        resource for template in templates() for resource in template["Resources"].values()
    ]
    return sum(resource.get("Type") == "AWS::CloudWatch::Alarm" for resource in resources)


def queues_worked_off() -> int:
    """Those that Lambda polls: all but the dead letter queues."""
    resources = templates()[0]["Resources"].values()
    queues = [one["Properties"] for one in resources if one["Type"] == "AWS::SQS::Queue"]
    return sum("RedrivePolicy" in queue for queue in queues)


def retention_days() -> int:
    days: int = templates()[0]["Parameters"]["LogRetentionDays"]["Default"]
    return days


def access_log_bytes() -> int:
    """A line of API Gateway's, by the format that it is deployed with."""
    line: str = templates()[1]["Resources"]["RestAPI"]["Properties"]["AccessLogSetting"]["Format"]
    for name, value in sorted(_ACCESS_LOG_VALUES.items(), reverse=True):
        line = line.replace(name, value)
    assert "$context" not in line, f"the access log has a field without a length: {line}"
    return len(line)


def billed_ms(name: str, usage: Usage) -> int:
    """Lambda's milliseconds: the code's, as slow as its share of a processor, and its waits."""
    ((function, runs),) = usage.invocations.items()
    share = min(memory_mb()[function] / _MB_OF_ONE_PROCESSOR, 1)
    wait = timing()["wait_ms"]
    waited = sum(
        math.ceil(count / AT_ONCE.get(name, 1)) * wait.get(call, wait["call"])
        for call, count in usage.calls.items()
    )
    waited += wait["merchant"] * (function == COURIER)
    computed: float = timing()["cpu_ms"][name] / share + waited
    return math.ceil(computed) * runs


@dataclass(frozen=True)
class Bill:
    """Dollars by service."""

    lines: Counter[str]

    @property
    def total(self) -> float:
        return sum(self.lines.values())

    def times(self, factor: float) -> "Bill":
        return Bill(Counter({name: dollars * factor for name, dollars in self.lines.items()}))

    def plus(self, other: "Bill") -> "Bill":
        return Bill(self.lines + other.lines)


def bill(name: str, usage: Usage, *, traced: float) -> Bill:
    """Of one run of a flow, of which X-Ray records the part `traced`."""
    ((function, runs),) = usage.invocations.items()
    gb_seconds = billed_ms(name, usage) / 1000 * memory_mb()[function] / 1024
    price = prices()
    return Bill(
        Counter(
            {
                "DynamoDB": dynamodb_dollars(usage),
                "Lambda": runs * price["lambda"]["million_requests"] / MILLION
                + gb_seconds * price["lambda"]["gb_second_arm64"],
                "API Gateway": usage.api_requests
                * price["api_gateway"]["million_requests"]
                / MILLION,
                "SQS": sqs_requests(usage) * price["sqs"]["million_requests"] / MILLION,
                "CloudWatch Logs": log_bytes(usage) * log_dollars_a_byte(),
                "X-Ray": runs * traced * price["xray"]["million_traces"] / MILLION,
                "Data transfer": usage.out_bytes * price["transfer"]["out_gb"] / GB,
            }
        )
    )


def dynamodb_dollars(usage: Usage) -> float:
    price = prices()["dynamodb"]
    writes: float = usage.write_units * price["million_write_units"] / MILLION
    reads: float = usage.read_units * price["million_read_units"] / MILLION
    return writes + reads


def sqs_requests(usage: Usage) -> int:
    """Its own, and Lambda's: a batch is received and deleted by one request each."""
    sent = usage.calls["SendMessage"] + usage.calls["SendMessageBatch"]
    polled = 2 * sum(usage.invocations[function] for function in (PROCESSOR, COURIER))
    return sent + polled


def log_bytes(usage: Usage) -> int:
    """As CloudWatch bills them: ours, Lambda's, and API Gateway's access log."""
    runs = sum(usage.invocations.values())
    lambdas = sum(map(len, LINES_OF_LAMBDA))
    lines = usage.log_lines + runs * len(LINES_OF_LAMBDA) + usage.api_requests
    return (
        usage.log_bytes
        + runs * lambdas
        + usage.api_requests * access_log_bytes()
        + lines * int(prices()["logs"]["overhead_bytes_a_line"])
    )


def log_dollars_a_byte() -> float:
    """Taking it in, and keeping it for as long as the log groups do."""
    price = prices()["logs"]
    kept = price["stored_gb_month"] * price["stored_ratio"] * retention_days() / DAYS_A_MONTH
    return float(price["ingested_gb"] + kept) / GB


def traced_part(runs_a_second: float) -> float:
    """Of the requests, by X-Ray's default rule."""
    if runs_a_second <= 1:
        return 1
    besides: float = prices()["xray"]["sampled_besides"]
    return (1 + besides * (runs_a_second - 1)) / runs_a_second


def idle(sweep: Usage) -> Bill:
    """A month of a stage that nobody uses, its alarms and metrics included."""
    price = prices()
    sweeps = DAYS_A_MONTH * 24 * 60
    polls = queues_worked_off() * _POLLERS * _POLLS_A_MINUTE * sweeps
    return (
        bill("sweep", sweep, traced=1)
        .times(sweeps)
        .plus(
            Bill(
                Counter(
                    {
                        "SQS": polls * price["sqs"]["million_requests"] / MILLION,
                        "CloudWatch alarms": alarms() * price["cloudwatch"]["alarm_month"],
                        "CloudWatch metrics": len(sweep.metrics)
                        * price["cloudwatch"]["metric_month"],
                        "KMS": _KMS_USES_A_MONTH * price["kms"]["million_requests"] / MILLION,
                    }
                )
            )
        )
    )

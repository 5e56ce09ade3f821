"""Dollars of what was seen to be used, by AWS's list prices and without free tiers."""

import json
import math
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from bench.page import ROOT
from bench.usage import API, DELIVERY_WORKER, PROCESSOR, Usage
from infra.deploy import yaml_text

MINUTES_A_MONTH: Final = 30 * 24 * 60
MILLION: Final = 1_000_000
GB: Final = 1_000_000_000

_HERE: Final = Path(__file__).parent
_AT_ONCE: Final = {"stats of 30 days": 16}
"""Flows that make their calls of one kind side by side, and how many."""
_MB_OF_ONE_PROCESSOR: Final = 1769
"""https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html"""
_IDLE_POLLS_A_MINUTE: Final = 5 * 3
"""Lambda asks an idle queue by five long polls of 20 seconds each."""
_KMS_USES_A_MONTH: Final = 2 * 4 * MINUTES_A_MONTH // 5
"""At most: each of four roles asks for each of two tables' keys every five minutes."""
_LINES_OF_LAMBDA: Final = (71, 52, 234)
"""Bytes of what Lambda itself logs of each run: START, END, and REPORT with its trace."""
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
    return tomllib.loads((_HERE / "prices.toml").read_text())


@cache
def timing() -> dict[str, Any]:
    return tomllib.loads((_HERE / "milliseconds.toml").read_text())


@cache
def memory_mb() -> dict[str, int]:
    """What each function is deployed with."""
    config = json.loads((ROOT / ".chalice" / "config.json").read_text())
    functions = config["stages"]["prod"]["lambda_functions"]
    named = {name: settings["lambda_memory_size"] for name, settings in functions.items()}
    return {API: named.pop("api_handler"), **named}


@cache
def templates() -> tuple[dict[str, Any], dict[str, Any]]:
    backend, package = (
        yaml_text.read((ROOT / "infra" / name).read_text())
        for name in ("backend.yaml", "package.yaml")
    )
    return backend, package


def alarms() -> int:
    """How many a stage has."""
    resources = [one for template in templates() for one in template["Resources"].values()]
    return sum(one.get("Type") == "AWS::CloudWatch::Alarm" for one in resources)


def _polled_queues() -> int:
    """All but the dead letter queues."""
    resources = templates()[0]["Resources"].values()
    queues = [one["Properties"] for one in resources if one["Type"] == "AWS::SQS::Queue"]
    return sum("RedrivePolicy" in queue for queue in queues)


def _access_log_bytes() -> int:
    """A line of API Gateway's, by the format that it is deployed with."""
    line: str = templates()[1]["Resources"]["RestAPI"]["Properties"]["AccessLogSetting"]["Format"]
    for name, value in sorted(_ACCESS_LOG_VALUES.items(), reverse=True):
        line = line.replace(name, value)
    assert "$context" not in line, f"the access log has a field without a length: {line}"
    return len(line)


def billed_ms(name: str, usage: Usage) -> int:
    """Lambda's milliseconds: the code's, at its share of a processor, and its waits."""
    share = min(memory_mb()[usage.function] / _MB_OF_ONE_PROCESSOR, 1)
    wait = timing()["wait_ms"]
    waited: float = sum(
        math.ceil(count / _AT_ONCE.get(name, 1)) * wait.get(call, wait["call"])
        for call, count in usage.calls.items()
    )
    waited += wait["merchant"] * (usage.function == DELIVERY_WORKER)
    computed: float = timing()["cpu_ms"][name] / share
    return math.ceil(computed + waited)


def gb_seconds(name: str, usage: Usage) -> float:
    return billed_ms(name, usage) / 1000 * memory_mb()[usage.function] / 1024


@dataclass(frozen=True)
class Bill:
    """Dollars by service."""

    lines: dict[str, float]

    @property
    def services(self) -> list[str]:
        """The most expensive first."""
        return sorted(self.lines, key=lambda name: -self.lines[name])

    @property
    def total(self) -> float:
        return sum(self.lines.values())

    def __mul__(self, factor: float) -> "Bill":
        return Bill({name: dollars * factor for name, dollars in self.lines.items()})

    def __add__(self, other: "Bill") -> "Bill":
        names = self.lines | other.lines
        return Bill({name: self.lines.get(name, 0) + other.lines.get(name, 0) for name in names})


def of_one(service: str, unit: str) -> float:
    """The dollars of one, where the price is of a million."""
    return float(prices()[service][f"million_{unit}"]) / MILLION


def bill(name: str, usage: Usage, *, traced: float = 1) -> Bill:
    """Of one run of a flow, of which X-Ray records the part `traced`."""
    lines: dict[str, float] = {
        "DynamoDB": dynamodb_dollars(usage),
        "Lambda": of_one("lambda", "requests")
        + gb_seconds(name, usage) * prices()["lambda"]["gb_second_arm64"],
        "API Gateway": usage.api_requests * of_one("api_gateway", "requests"),
        "SQS": sqs_requests(usage) * of_one("sqs", "requests"),
        "CloudWatch Logs": log_bytes(usage) * _log_dollars_a_byte(),
        "X-Ray": traced * of_one("xray", "traces"),
        "Data transfer": usage.out_bytes * prices()["transfer"]["out_gb"] / GB,
    }
    return Bill(lines)


def dynamodb_dollars(usage: Usage) -> float:
    writes = usage.write_units * of_one("dynamodb", "write_units")
    return writes + usage.read_units * of_one("dynamodb", "read_units")


def sqs_requests(usage: Usage) -> int:
    """Ours, and Lambda's two: a batch is received and deleted by one request each."""
    sent = usage.calls["SendMessage"] + usage.calls["SendMessageBatch"]
    return sent + 2 * (usage.function in {PROCESSOR, DELIVERY_WORKER})


def log_bytes(usage: Usage) -> int:
    """As CloudWatch bills them: our lines, Lambda's, and API Gateway's access log."""
    lines = usage.log_lines + len(_LINES_OF_LAMBDA) + usage.api_requests
    return (
        usage.log_bytes
        + sum(_LINES_OF_LAMBDA)
        + usage.api_requests * _access_log_bytes()
        + lines * int(prices()["logs"]["overhead_bytes_a_line"])
    )


def _log_dollars_a_byte() -> float:
    """To take it in, and to keep it for as long as the log groups do."""
    price = prices()["logs"]
    days = templates()[0]["Parameters"]["LogRetentionDays"]["Default"]
    kept = price["stored_gb_month"] * price["stored_ratio"] * days / 30
    return float(price["ingested_gb"] + kept) / GB


def traced_part(runs_a_second: float) -> float:
    """Of the requests, by X-Ray's default rule."""
    if runs_a_second <= 1:
        return 1
    besides: float = prices()["xray"]["sampled_besides"]
    return (1 + besides * (runs_a_second - 1)) / runs_a_second


def idle(sweep: Usage) -> Bill:
    """A month of a stage that nobody uses, its alarms and metrics included."""
    polls = _polled_queues() * _IDLE_POLLS_A_MINUTE * MINUTES_A_MONTH
    price = prices()["cloudwatch"]
    lines = {
        "SQS": polls * of_one("sqs", "requests"),
        "CloudWatch alarms": alarms() * price["alarm_month"],
        "CloudWatch metrics": len(sweep.metrics) * price["metric_month"],
        "KMS": prices()["kms"]["key_month"] + _KMS_USES_A_MONTH * of_one("kms", "requests"),
    }
    return bill("sweep", sweep) * MINUTES_A_MONTH + Bill(lines)

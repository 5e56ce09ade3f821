"""The AWS clients, with timeouts short enough for a caller who waits.

Guarantee: what `outage_is_unavailable` guards raises `Unavailable` when AWS cannot be
reached, is slow, throttles or is broken, and lets every other error through: those are bugs.
"""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.parsers import ResponseParserError
from botocore.session import Session, get_session

from chalicelib.errors import Unavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_sqs import SQSClient

_MAX_CONNECTIONS: Final = 64
_TRY_LATER: Final = frozenset(
    {
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "ThrottlingException",
        "TransactionInProgressException",  # our own first try still runs; botocore has waited
    }
)


def dynamodb_client(region: str) -> "DynamoDBClient":
    """1 s to connect, 2 s to read, 3 attempts in all."""
    client: DynamoDBClient = _client("dynamodb", region, _config(1, 2, attempts=3))
    return client


def sqs_client(region: str) -> "SQSClient":
    """1 s to connect, 1 s to read, 1 attempt: the sweeper is the retry."""
    client: SQSClient = _client("sqs", region, _config(1, 1, attempts=1))
    return client


def logs_client(region: str) -> "CloudWatchLogsClient":
    """1 s to connect, 5 s to read, 2 attempts: a search takes its time."""
    client: CloudWatchLogsClient = _client("logs", region, _config(1, 5, attempts=2))
    return client


@contextmanager
def outage_is_unavailable(service: str) -> Iterator[None]:
    """Raise Unavailable for an outage of `service` inside the block."""
    try:
        yield
    except (BotoConnectionError, HTTPClientError, ResponseParserError) as error:
        raise Unavailable(f"{service} is out of reach; try again.") from error
    except ClientError as error:
        if is_outage(error):
            raise Unavailable(f"{service} cannot answer now; try again.") from error
        raise


def is_outage(error: ClientError) -> bool:
    """Throttled, or AWS's own fault: worth another try."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return error.response["Error"]["Code"] in _TRY_LATER or status >= 500


@functools.cache
def _session() -> Session:
    """One for all clients, which share what it has read. botocore's own: boto3 around it would add
    nothing but the time that importing it takes.
    """
    return get_session()


def _client(service: str, region: str, config: Config) -> Any:
    return _session().create_client(service, region_name=region, config=config)


def _config(connect_seconds: float, read_seconds: float, *, attempts: int) -> Config:
    return Config(
        connect_timeout=connect_seconds,
        read_timeout=read_seconds,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=_MAX_CONNECTIONS,
    )

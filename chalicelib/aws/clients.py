"""The AWS clients, with timeouts short enough for API requests.

Guarantee: inside `outage_is_unavailable`, a call raises `Unavailable` when AWS is out of reach,
slow, throttling or broken. Every other error passes through: it is a bug.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.loaders import Loader
from botocore.parsers import ResponseParserError

from chalicelib import VERSION, config
from chalicelib.aws.answers import Parsers
from chalicelib.errors import Unavailable

try:
    import boto3
except ModuleNotFoundError:  # requirements.txt leaves it to Lambda's runtime
    config.refuse("There is no boto3. Run `pip install -r requirements-run.txt`.")

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_sqs import SQSClient

_MAX_CONNECTIONS: Final = 64
_USER_AGENT: Final = f"PayFlow/{VERSION} Boto3/{boto3.__version__}"
_THROTTLES: Final = frozenset(
    {
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "ThrottlingException",
    }
)
_STILL_RUNNING: Final = "TransactionInProgressException"
"""Our first attempt is, after retries."""
_IS_LATE: Final[ContextVar[Callable[[], bool]]] = ContextVar("is_late", default=lambda: False)


class Throttled(Unavailable):
    """AWS refuses the call because there were too many."""


def dynamodb_client(region: str) -> "DynamoDBClient":
    """1 s to connect, 2 s to read, 3 attempts in all. Transactions obey `sent_unless`."""
    client = _session().client("dynamodb", region_name=region, config=_hot(1, 2, attempts=3))
    client.meta.events.register("before-send.dynamodb.TransactWriteItems", _refuse_late)
    return client


@contextmanager
def sent_unless(is_late: Callable[[], bool]) -> Iterator[None]:
    """Inside the block, send no transaction once it is late, nor resend one.

    It raises Unavailable then: an earlier attempt may have been done or not.
    """
    token = _IS_LATE.set(is_late)
    try:
        yield
    finally:
        _IS_LATE.reset(token)


def _refuse_late(**_: Any) -> None:
    if _IS_LATE.get()():
        raise Unavailable("DynamoDB did not answer in time; try again.")


def sqs_client(region: str) -> "SQSClient":
    """1 s to connect, 1 s to read, 2 attempts: SQS may have forgotten the connection of the first
    while Lambda was frozen. The sweeper is the next retry.
    """
    return _session().client("sqs", region_name=region, config=_hot(1, 1, attempts=2))


def kms_client(region: str) -> Any:
    """1 s to connect, 2 s to read, 3 attempts in all."""
    session: Any = _session()  # the service has no type stubs here
    return session.client("kms", region_name=region, config=_config(1, 2, attempts=3))


def s3_client(region: str) -> Any:
    """1 s to connect, 10 s to read, 3 attempts in all.

    Links name the bucket's own region, and signatures are of version 4: the older ones last longer
    than the key that made them.
    """
    session: Any = _session()  # the service has no type stubs here
    config = _config(1, 10, attempts=3).merge(
        Config(
            signature_version="s3v4",
            s3={"addressing_style": "virtual"},
            # The caller sends an MD5, from which S3 also makes the ETag.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
    )
    return session.client("s3", region_name=region, config=config)


def logs_client(region: str) -> "CloudWatchLogsClient":
    """1 s to connect, 5 s to read, 2 attempts: a search takes its time."""
    return _session().client("logs", region_name=region, config=_config(1, 5, attempts=2))


@contextmanager
def outage_is_unavailable(service: str) -> Iterator[None]:
    """Raise Unavailable for an outage of `service` inside the block."""
    try:
        yield
    except (BotoConnectionError, HTTPClientError, ResponseParserError) as error:
        raise Unavailable(f"{service} is out of reach; try again.") from error
    except ClientError as error:
        if is_outage(error):
            kind = Throttled if error.response["Error"]["Code"] in _THROTTLES else Unavailable
            raise kind(f"{service} cannot answer now; try again.") from error
        raise


def is_outage(error: ClientError) -> bool:
    """Return whether AWS throttled the call or failed, so that a retry can help."""
    code = error.response["Error"]["Code"]
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return code in _THROTTLES or code == _STILL_RUNNING or status >= 500


class _AnyName(list[str]):
    def __contains__(self, name: object) -> bool:
        return True


class _Models(Loader):
    """Finds the model of a service by its name: ours, and those that a profile's credentials need.

    botocore's own looks into the folders of all 400 services first, a twentieth of a cold start.
    """

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002
        return _AnyName()


@functools.cache
def _session() -> boto3.Session:
    """Return the session of all clients, which share the service models that it loads."""
    session = botocore.session.get_session()
    session.register_component("data_loader", _Models())
    session.register_component("response_parser_factory", Parsers())
    return boto3.Session(botocore_session=session)


def _hot(connect_seconds: float, read_seconds: float, *, attempts: int) -> Config:
    """Return the settings of a client whose calls are most of the time of a request.

    One module builds its requests, and tests check all of them against the service's model. The
    header of the user agent is made once, not at every call.
    """
    return _config(connect_seconds, read_seconds, attempts=attempts).merge(
        Config(parameter_validation=False, user_agent=_USER_AGENT)
    )


def _config(connect_seconds: float, read_seconds: float, *, attempts: int) -> Config:
    return Config(
        connect_timeout=connect_seconds,
        read_timeout=read_seconds,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=_MAX_CONNECTIONS,
    )

"""What each function asks of AWS while tests run it, and what its IAM policy grants.

Guarantee: every call that a boto3 client makes while one of the app's handlers runs is heard,
whichever client, thread and test it comes from, and is translated to the IAM actions that AWS
checks for it. A call or a form of policy that is not known here fails; it is never passed over.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import yaml
from botocore.handlers import BUILTIN_HANDLERS
from chalice.app import Chalice, EventSourceHandler, SQSEventConfig

from infra.local.provision import TEMPLATE
from tests.engines import ROOT

CHALICE: Final = ROOT / ".chalice"
API: Final = "api_handler"
"""Chalice's name for the one function behind all routes."""

X_RAY: Final = frozenset({"xray:PutTraceSegments", "xray:PutTelemetryRecords"})
"""Their resource can only be `*`: X-Ray has no resource level for them."""

_STATEMENT: Final = {"Sid", "Effect", "Action", "Resource"}
_BY_ITEM: Final = {
    "Get": "GetItem",
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}
_ON_A_TABLE: Final = {"GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "DescribeTable"}
_ON_A_QUEUE: Final = {
    "SendMessage": "SendMessage",
    "SendMessageBatch": "SendMessage",
    "ReceiveMessage": "ReceiveMessage",
    "DeleteMessage": "DeleteMessage",
    "DeleteMessageBatch": "DeleteMessage",
    "ChangeMessageVisibility": "ChangeMessageVisibility",
    "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
    "GetQueueAttributes": "GetQueueAttributes",
}


class NotUnderstood(Exception):
    """A call or a policy that this module cannot judge; it must be taught first."""


class Grant(NamedTuple):
    """One action on one resource, which is named as infra/backend.yaml names it."""

    action: str
    resource: str

    def __str__(self) -> str:
        return f"{self.action} on {self.resource}"


class Call(NamedTuple):
    """One call of AWS, the function that made it and the test that made the function do so."""

    function: str
    service: str
    operation: str
    params: Mapping[str, Any]
    test: str


class Recorder:
    """Hears what the functions of one app ask of AWS.

    One function runs at a time, so a call belongs to the one that runs, whichever of its
    threads makes it. What a test asks for itself belongs to none and is not kept.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.entered: list[str] = []
        """Each run of a handler: its function's name, or its route as `GET /v1/health`."""
        self._running: str | None = None

    def listen(self) -> None:
        """To every client that is made from now on: a new session takes these hooks over."""
        BUILTIN_HANDLERS.append(("provide-client-params", self._hear))

    def attach(self, app: Chalice) -> None:
        """Learn which function runs, from the app itself, so that no test can forget to tell."""
        recorder = self

        class RecordedChalice(Chalice):
            def __call__(self, event: Any, context: Any) -> dict[str, Any]:
                request = event["requestContext"]
                with recorder._run(API, f"{request['httpMethod']} {request['resourcePath']}"):
                    return super().__call__(event, context)

        app.__class__ = RecordedChalice
        for name in functions(app):
            if name != API:
                handler: Any = app.handler_map[name]
                if not isinstance(handler, EventSourceHandler):
                    raise NotUnderstood(f"{name} is a kind of function that is not recorded yet")
                handler.func = self._recorded(name, handler.func)

    def _recorded(self, name: str, handler: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def run(event: Any) -> Any:
            with self._run(name, name):
                return handler(event)

        return run

    @contextmanager
    def _run(self, function: str, entry: str) -> Iterator[None]:
        self.entered.append(entry)
        self._running = function
        try:
            yield
        finally:
            self._running = None

    def _hear(self, params: Mapping[str, Any], model: Any, **_: Any) -> None:
        if self._running is not None:
            test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
            service: str = model.service_model.service_name
            self.calls.append(Call(self._running, service, model.name, dict(params), test))


def functions(app: Chalice) -> list[str]:
    """The Lambda functions that Chalice makes of `app`, by its names for them."""
    assert not app.websocket_handlers, "websocket handlers are functions of their own"
    others: list[Any] = [*app.event_sources, *app.pure_lambda_functions, *app.builtin_auth_handlers]
    return [API, *(other.name for other in others)]


def policy_file(function: str) -> str:
    """Where its policy is, in .chalice."""
    return f"policy-{function.removesuffix('_handler').replace('_', '-')}.json"


def asked(calls: Iterable[Call], function: str, stage: str) -> dict[Grant, str]:
    """What `function` must be granted for its calls, each with the first test that needs it."""
    names = _logical_ids(stage)
    found: dict[Grant, str] = {}
    for call in calls:
        if call.function == function:
            for action, name in _checked(call):
                table, slash, index = name.partition("/")
                if table not in names:
                    raise NotUnderstood(f"{call.test}: infra/backend.yaml makes no {table}")
                found.setdefault(Grant(action, names[table] + slash + index), call.test)
    return found


def _checked(call: Call) -> Iterator[tuple[str, str]]:
    """The actions that AWS checks for `call`, each with the name of its table or queue.

    A transaction is checked item by item:
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html
    """
    params = call.params
    match call.service, call.operation:
        case "dynamodb", "TransactWriteItems" | "TransactGetItems":
            for item in params["TransactItems"]:
                for kind, request in item.items():
                    yield f"dynamodb:{_BY_ITEM[kind]}", request["TableName"]
        case "dynamodb", ("BatchGetItem" | "BatchWriteItem") as operation:
            for table in params["RequestItems"]:
                yield f"dynamodb:{operation}", table
        case "dynamodb", operation if operation in _ON_A_TABLE:
            index = f"/index/{params['IndexName']}" if "IndexName" in params else ""
            yield f"dynamodb:{operation}", params["TableName"] + index
        case "sqs", operation if operation in _ON_A_QUEUE:
            yield f"sqs:{_ON_A_QUEUE[operation]}", params["QueueUrl"].rpartition("/")[2]
        case service, operation:
            raise NotUnderstood(
                f"{call.function} calls {service}:{operation} in {call.test}; "
                "tests/iam.py must learn what that authorises as"
            )


def of_the_service(app: Chalice, function: str, stage: str) -> set[Grant]:
    """What Lambda does in the function's name, so that no call of ours shows it: its log, its
    traces, and the polling of the queue that feeds it. It may not make its log group: the
    template does that, with a retention.
    """
    # Chalice names the API's function without a suffix.
    log_group = "/aws/lambda/payflow-${Stage}" + ("" if function == API else f"-{function}")
    logs = (
        f"arn:${{AWS::Partition}}:logs:${{AWS::Region}}:${{AWS::AccountId}}:log-group:{log_group}:*"
    )
    polled = [
        _logical_ids(stage)[source.queue]
        for source in app.event_sources
        if isinstance(source, SQSEventConfig) and source.name == function and source.queue
    ]
    return {
        Grant("logs:CreateLogStream", logs),
        Grant("logs:PutLogEvents", logs),
        *(Grant(action, "*") for action in X_RAY),
        *(
            Grant(f"sqs:{action}", queue)
            for queue in polled
            for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
        ),
    }


def read_policy(function: str) -> dict[str, Any]:
    policy: dict[str, Any] = json.loads((CHALICE / policy_file(function)).read_text())
    return policy


def granted(policy: Mapping[str, Any]) -> set[Grant]:
    """All that `policy` allows. Raises NotUnderstood for what could mean more than it seems to:
    a denial, a condition, an exception (NotAction, NotResource) or a computed resource.
    """
    grants = set()
    for statement in policy["Statement"]:
        if statement["Effect"] != "Allow" or not statement.keys() <= _STATEMENT:
            raise NotUnderstood(f"the statement {json.dumps(statement)}")
        for resource in _listed(statement["Resource"]):
            for action in _listed(statement["Action"]):
                grants.add(Grant(action, _resource(resource)))
    return grants


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _resource(resource: Any) -> str:
    """`PaymentsTable` for its ARN in either form; any other text as it is."""
    match resource:
        case "*":
            return "*"
        case {"Fn::GetAtt": [str(logical_id), "Arn"], **more} if not more:
            return logical_id
        case {"Fn::Sub": str(text), **more} if not more:
            return re.sub(r"\$\{(\w+)\.Arn\}", r"\1", text)
    raise NotUnderstood(f"the resource {json.dumps(resource)}")


def lacking(function: str, grants: set[Grant], needs: Mapping[Grant, str]) -> list[str]:
    """A sentence for each need that is not granted."""
    return [
        f"{policy_file(function)} lacks {need} (asked for by {needs[need]})"
        for need in sorted(needs.keys() - grants)
    ]


def unused(function: str, grants: set[Grant], needs: Iterable[Grant]) -> list[str]:
    """A sentence for each grant that nothing needs."""
    return [
        f"{policy_file(function)} grants {grant}, which no call needs"
        for grant in sorted(grants - set(needs))
    ]


def _logical_ids(stage: str) -> dict[str, str]:
    """The ids in infra/backend.yaml, by the names that its tables and queues have in `stage`."""
    found = {}
    for logical_id, resource in yaml.safe_load(TEMPLATE.read_text())["Resources"].items():
        properties = resource.get("Properties", {})
        name = properties.get("TableName") or properties.get("QueueName")
        if name is not None:
            found[name["Fn::Sub"].replace("${Stage}", stage)] = logical_id
    return found

"""The grants that a function's calls need, and those that its IAM policy gives.

Guarantee: each call is translated to the IAM actions that AWS checks for it. An unknown call or
form of policy raises; it is never ignored.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from chalice.app import Chalice, SQSEventConfig

from infra.local.provision import template
from tests.engines import ROOT
from tests.hearing import API, Call
from tests.policies import Context, Rights, Template

POLICIES: Final = ROOT / "infra" / "policies"
X_RAY: Final = frozenset({"xray:PutTraceSegments", "xray:PutTelemetryRecords"})
"""Their resource can only be `*`: X-Ray has no resource-level permissions for them."""

_MOMENT: Final = re.compile(r"(?<=-)[0-9]{8}T[0-9]{6}Z-")
"""The part before the stage in the name of a restored table."""
_ACCOUNT: Final = re.compile(r"-[0-9]{12}$")
"""The last part of a bucket's name: buckets of all accounts have names of their own."""

NO_SUCH_QUEUE: Final = "no-such-queue"
"""The queue in tests of an outage. A function that calls it needs a grant for the real one."""

_STATEMENT: Final = {"Sid", "Effect", "Action", "Resource", "Condition"}
_BY_ITEM: Final = {
    "Get": "GetItem",
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}
_ON_A_TABLE: Final = {"GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "DescribeTable"}
_BY_KEY: Final = {
    f"dynamodb:{operation}" for operation in {"BatchGetItem", "Query", *_BY_ITEM.values()}
}
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


_ON_OBJECTS: Final = {
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "AbortMultipartUpload": "AbortMultipartUpload",
    "PutObject": "PutObject",
    "GetObject": "GetObject",
    "HeadObject": "GetObject",
}


_LEADING: Final = {
    ("ForAllValues:StringLike", "dynamodb:LeadingKeys"),
    ("Null", "dynamodb:LeadingKeys"),
}
_JUDGED: Final = {
    ("ForAllValues:StringEquals", "dynamodb:Attributes"),
    ("StringEquals", "dynamodb:Select"),
    ("StringEqualsIfExists", "dynamodb:Select"),
    ("StringEqualsIfExists", "dynamodb:ReturnValues"),
    ("StringEquals", "kms:EncryptionContext:stage"),
    ("StringEquals", "kms:RequestAlias"),
    ("StringLike", "kms:EncryptionContext:endpoint"),
}
"""The conditions that `refused` judges, beside the leading keys."""


class NotUnderstood(Exception):
    """A call or a policy that this module does not support yet."""


class Grant(NamedTuple):
    """One action on one resource, by its logical id in infra/backend.yaml."""

    action: str
    resource: str
    partitions: str = ""
    """The kind of partition in the payments table: `PAY#*` or `APIKEYS`."""

    def __str__(self) -> str:
        where = f" in {self.partitions}" if self.partitions else ""
        return f"{self.action} on {self.resource}{where}"


def functions(app: Chalice) -> list[str]:
    """Return the names of the Lambda functions that Chalice makes of `app`."""
    if app.websocket_handlers or app.pure_lambda_functions or app.builtin_auth_handlers:
        raise NotUnderstood("a kind of function that is not recorded yet")
    return [API, *(source.name for source in app.event_sources)]


def policy_file(function: str) -> str:
    """Return the name of the function's policy file in infra/policies."""
    return f"{function}.json"


def asked(calls: Iterable[Call], function: str, stage: str) -> dict[Grant, str]:
    """Return the grants that the calls of `function` need, each with the first test that does."""
    names = _logical_ids(stage) | {NO_SUCH_QUEUE: "WebhookQueue"}
    found: dict[Grant, str] = {}
    for call in calls:
        if call.function == function:
            for action, name, partitions in _checked(call):
                resource, slash, index = name.partition("/index/")
                if not slash:
                    resource, slash, index = name.partition("/objects/")
                    slash = slash and "/"
                # A restored table has the grants of the first one, by its moment.
                resource = _MOMENT.sub("", resource)
                if resource not in names:
                    raise NotUnderstood(f"{call.test}: infra/backend.yaml makes no {resource}")
                grant = Grant(action, names[resource] + slash + index, partitions)
                found.setdefault(grant, call.test)
    return found


def _checked(call: Call) -> Iterator[tuple[str, str, str]]:
    """Yield the actions that AWS checks for `call`.

    Each has the name of its table, queue or log group, and its kind of partition.
    """
    params = call.params
    match call.service, call.operation:
        case "dynamodb", _:
            yield from _checked_of_dynamodb(call)
        case "sqs", operation if operation in _ON_A_QUEUE:
            yield f"sqs:{_ON_A_QUEUE[operation]}", params["QueueUrl"].rpartition("/")[2], ""
        case "s3", operation if operation in _ON_OBJECTS:
            # What is granted is a folder; a link is signed by the same name of its operation.
            folder = params["Key"].partition("/")[0]
            bucket = _ACCOUNT.sub("-*", params["Bucket"])
            yield f"s3:{_ON_OBJECTS[operation]}", f"{bucket}/objects/{folder}/*", ""
        case "logs", "FilterLogEvents":
            yield "logs:FilterLogEvents", params["logGroupName"], ""
        case "kms", "Encrypt" | "Decrypt":
            yield f"kms:{call.operation}", params["KeyId"], ""
        case _:
            raise _not_known(call)


def _checked_of_dynamodb(call: Call) -> Iterator[tuple[str, str, str]]:
    """Yield the actions for DynamoDB. A transaction is checked item by item:
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html

    Which leading keys AWS then compares is not documented. If it is those of the whole
    transaction, each action needs the partitions of all items in its table.
    """
    params = call.params
    match call.operation:
        case "TransactWriteItems" | "TransactGetItems":
            for action, table, _ in items(params):
                for of_table in {
                    _partitions(one) for _, name, one in items(params) if name == table
                }:
                    yield action, table, of_table
        case "BatchGetItem":
            for table, wanted in params["RequestItems"].items():
                for key in wanted["Keys"]:
                    yield "dynamodb:BatchGetItem", table, _partitions({"Key": key})
        case operation if operation in _ON_A_TABLE:
            index = f"/index/{params['IndexName']}" if "IndexName" in params else ""
            yield f"dynamodb:{operation}", params["TableName"] + index, _partitions(params)
        case _:
            raise _not_known(call)


def items(params: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield the action, the table and the request of each item of a transaction."""
    for item in params["TransactItems"]:
        for kind, request in item.items():
            yield f"dynamodb:{_BY_ITEM[kind]}", request["TableName"], request


def rights(function: str, stage: str) -> Rights:
    """Return what the policy of `function` allows in `stage`."""
    rendered = Template(template(), Stage=stage).rendered(read_policy(function)["Statement"])
    return Rights(rendered)


def refused(calls: Iterable[Call], function: str, stage: str) -> set[str]:
    """Return a sentence for each call of DynamoDB and KMS that a condition refuses."""
    names, allowed = _logical_ids(stage), rights(function, stage)
    found = set()
    for call in calls:
        if call.function != function:
            continue
        for action, name, context in _contexts(call):
            table, slash, index = name.partition("/index/")
            resource = f"<{names[_MOMENT.sub('', table)]}.Arn>{slash}{index}"
            if not allowed.allow(action, resource, context):
                found.add(f"{function} may not {action} with {context} (asked for by {call.test})")
    return found


def _contexts(call: Call) -> Iterator[tuple[str, str, Context]]:
    """Yield the actions of a call, each with its table or key and its condition keys.

    An item of a transaction comes with each of the leading keys that AWS might compare: its own,
    those of all items with its action, those of the whole transaction, and none.
    """
    params = call.params
    if call.service == "kms":
        context = params["EncryptionContext"]
        keys = {f"kms:EncryptionContext:{name}": value for name, value in context.items()}
        keys["kms:RequestAlias"] = params["KeyId"]
        yield f"kms:{call.operation}", params["KeyId"], keys
    elif call.service == "dynamodb" and "TransactItems" in params:
        for action, table, request in items(params):
            context = request_context(request)
            of_table = [(did, one) for did, name, one in items(params) if name == table]
            alike = [one for did, one in of_table if did == action]
            for filled_by in ([request], alike, [one for _, one in of_table], []):
                leading = [key for one in filled_by for key in _leading_keys(one)]
                yield action, table, {**context, "dynamodb:LeadingKeys": leading}
    elif call.service == "dynamodb" and "RequestItems" not in params:
        index = f"/index/{params['IndexName']}" if "IndexName" in params else ""
        name = params["TableName"] + index
        yield f"dynamodb:{call.operation}", name, request_context(params)


def request_context(request: Mapping[str, Any]) -> dict[str, str | list[str]]:
    """Return DynamoDB's condition keys of one request.

    What a failed condition returns counts as a return value: AWS does not say that it does not.
    """
    key = request.get("Key") or request.get("Item") or {}
    named = request.get("ExpressionAttributeNames", {}).values()
    context: dict[str, str | list[str]] = {"dynamodb:Attributes": sorted({*key, *named})}
    if "IndexName" not in request:
        context["dynamodb:LeadingKeys"] = _leading_keys(request)
    if "ProjectionExpression" in request:
        context["dynamodb:Select"] = "SPECIFIC_ATTRIBUTES"
    elif "KeyConditionExpression" in request or request.keys() == {"TableName", "Key"}:
        context["dynamodb:Select"] = request.get("Select", "ALL_ATTRIBUTES")
    for name in ("ReturnValues", "ReturnValuesOnConditionCheckFailure"):
        if name in request:
            context["dynamodb:ReturnValues"] = request[name]
    return context


def _leading_keys(request: Mapping[str, Any]) -> list[str]:
    key = request.get("Key") or request.get("Item") or {}
    leading = key.get("PK") or request.get("ExpressionAttributeValues", {}).get(":hash")
    return [leading["S"]] if leading else []


def _not_known(call: Call) -> NotUnderstood:
    return NotUnderstood(
        f"{call.function} calls {call.service}:{call.operation} in {call.test}; "
        "tests/iam.py must learn what that authorises as"
    )


def _partitions(request: Mapping[str, Any]) -> str:
    """Return the kind of partition, from the start of its key: `PAY#*` for `PAY#PAY-01…`.

    Only the payments table has kinds; its key is PK. Its indexes are granted as a whole.
    """
    if "IndexName" in request:
        return ""
    if "KeyConditionExpression" in request:
        asked_for = re.match(r"(#?\w+) = (:\w+)\b", request["KeyConditionExpression"])
        names = request.get("ExpressionAttributeNames", {})
        if asked_for is None or names.get(asked_for[1], asked_for[1]) != "PK":
            raise NotUnderstood(f"the key condition {request['KeyConditionExpression']}")
        key = request["ExpressionAttributeValues"][asked_for[2]]
    else:
        key = (request.get("Key") or request.get("Item") or {}).get("PK", {"S": ""})
    kind, hash_sign, _ = key["S"].partition("#")
    return f"{kind}#*" if hash_sign else kind


def of_the_service(app: Chalice, function: str, stage: str) -> set[Grant]:
    """Return the grants for what Lambda does with the function's role, which no call shows.

    That is its log, its traces, and polling its queue. It must not create its log group: the
    template creates it, with a retention.
    """
    # Chalice names the API's function without a suffix.
    logs = _arn("/aws/lambda/payflow-${Stage}" + ("" if function == API else f"-{function}"))
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
    policy: dict[str, Any] = json.loads((POLICIES / policy_file(function)).read_text())
    return policy


def granted(policy: Mapping[str, Any]) -> set[Grant]:
    """Return all that `policy` allows.

    Raises NotUnderstood for elements that this module does not support: a denial, a condition other
    than on the partition, an exception (NotAction, NotResource) or a computed resource.
    """
    grants = set()
    for statement in policy["Statement"]:
        if statement["Effect"] != "Allow" or not statement.keys() <= _STATEMENT:
            raise NotUnderstood(f"the statement {json.dumps(statement)}")
        for resource in listed(statement["Resource"]):
            for action in listed(statement["Action"]):
                for partitions in _only_in(statement):
                    grants.add(Grant(action, _resource(resource), partitions))
    return grants


def _only_in(statement: Mapping[str, Any]) -> list[str]:
    """Return the partitions that its condition allows, by DynamoDB's leading keys.

    What else it asks for, `refused` judges.

    "For all values" is true of a call that names no key, such as a scan; no such action may be
    granted this way. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
    """
    condition = statement.get("Condition", {})
    asked = {(operator, key) for operator, keys in condition.items() for key in keys}
    match statement:
        case {"Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": keys}}}:
            actions = set(listed(statement["Action"]))
            if asked - _LEADING <= _JUDGED and actions <= _BY_KEY and keys:
                return listed(keys)
        case {"Condition": {**some}} if some and asked <= _JUDGED:
            return [""]
        case {"Condition": _}:
            pass
        case _:
            return [""]
    raise NotUnderstood(f"the condition of {json.dumps(statement)}")


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _resource(resource: Any) -> str:
    """Return `PaymentsTable` for its ARN in either form, and other text unchanged."""
    match resource:
        case "*":
            return "*"
        case {"Fn::GetAtt": [str(logical_id), "Arn"], **more} if not more:
            return logical_id
        case {"Fn::Sub": str(text), **more} if not more:
            return re.sub(r"\$\{(\w+)\.Arn\}", r"\1", text)
    raise NotUnderstood(f"the resource {json.dumps(resource)}")


def lacking(function: str, grants: set[Grant], needs: Mapping[Grant, str]) -> list[str]:
    """Return a sentence for each need without a grant."""
    return [
        f"{policy_file(function)} lacks {need} (asked for by {needs[need]})"
        for need in sorted(needs.keys() - grants)
    ]


def unused(function: str, grants: set[Grant], needs: Iterable[Grant]) -> list[str]:
    """Return a sentence for each grant without a need."""
    return [
        f"{policy_file(function)} grants {grant}, which no call needs"
        for grant in sorted(grants - set(needs))
    ]


def _arn(log_group: str) -> str:
    """Return the ARN as policies write it: of the group and all its streams."""
    account = "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}"
    return f"{account}:log-group:{log_group}:*"


def _logical_ids(stage: str) -> dict[str, str]:
    """Return the logical ids in infra/backend.yaml, by the names of what `stage` has.

    Log groups have their ARN instead.
    """
    found = {}
    for logical_id, resource in template()["Resources"].items():
        properties = resource.get("Properties", {})
        name = properties.get("TableName") or properties.get("QueueName")
        if name is not None:
            found[name["Fn::Sub"].replace("${Restored}", "").replace("${Stage}", stage)] = (
                logical_id
            )
        if resource["Type"] == "AWS::S3::Bucket":
            bucket = properties["BucketName"]["Fn::Sub"].replace("${Stage}", stage)
            found[bucket.replace("${AWS::AccountId}", "*")] = logical_id
        if resource["Type"] == "AWS::KMS::Alias":
            alias = properties["AliasName"]["Fn::Sub"].replace("${Stage}", stage)
            found[alias] = properties["TargetKeyId"]["Ref"]
        if resource["Type"] == "AWS::Logs::LogGroup":
            text = properties["LogGroupName"]["Fn::Sub"]
            found[text.replace("${Stage}", stage)] = _arn(text)
    return found

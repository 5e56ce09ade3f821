"""The events that Lambda passes to the functions: of API Gateway, SQS and EventBridge."""

import json
from datetime import datetime
from typing import Any, Final

REGION: Final = "ca-central-1"


def api_event(method: str, resource: str, body: Any = None, **path: str) -> dict[str, Any]:
    """Return a request as API Gateway sends it, from a stage named `api`."""
    return {
        "resource": resource,
        "httpMethod": method,
        "path": resource.format(**path),
        "headers": {"Content-Type": "application/json"},
        "multiValueQueryStringParameters": None,
        "pathParameters": path or None,
        "stageVariables": None,
        "requestContext": {
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "resourcePath": resource,
            "httpMethod": method,
            "path": "/api" + resource.format(**path),
            "stage": "api",
            "identity": {"sourceIp": "203.0.113.7"},
        },
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
    }


def with_key(event: dict[str, Any], key: str) -> dict[str, Any]:
    event["headers"]["Authorization"] = f"Bearer {key}"
    return event


def sqs_event(*bodies: str) -> dict[str, Any]:
    records = [
        {"messageId": f"message-{index}", "receiptHandle": "handle", "body": body}
        for index, body in enumerate(bodies)
    ]
    return {"Records": records}


def scheduled_event(at: datetime) -> dict[str, Any]:
    """Return a scheduled event as EventBridge sends it."""
    return {
        "version": "0", "id": "1", "account": "123456789012", "region": REGION, "detail": {},
        "detail-type": "Scheduled Event", "source": "aws.events", "resources": [],
        "time": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }  # fmt: skip

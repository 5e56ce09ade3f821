"""`python -m tests.infra.new_account STAGE`: run `chalice deploy` where AWS is only played.

Prints the calls that Chalice makes of an account in which nothing is there yet, by operation.
"""

import json
import os
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient
from chalice.cli.factory import CLIFactory
from chalice.utils import UI

ACCOUNT = "123456789012"
REGION = "ca-central-1"
AWS = {
    "AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
}  # fmt: skip
calls: dict[str, list[dict[str, Any]]] = defaultdict(list)


def main(stage: str) -> None:
    os.environ.update(AWS)
    with patch.object(BaseClient, "_make_api_call", answer):
        factory = CLIFactory(str(Path.cwd()), environ=os.environ)
        config = factory.create_config_obj(chalice_stage_name=stage)
        session = factory.create_botocore_session()
        deployer = factory.create_default_deployer(session=session, config=config, ui=UI())
        deployer.deploy(config, chalice_stage_name=stage)
    print(json.dumps(calls, default=as_text))


def as_text(value: Any) -> str:
    """Return a request's body as text; a zip is not looked into."""
    return value.decode("utf-8", "replace")[:100_000] if isinstance(value, bytes) else repr(value)


def answer(client: Any, operation: str, params: dict[str, Any]) -> Any:
    calls[operation].append(params)
    name = params.get("FunctionName") or params.get("RoleName") or params.get("Name")
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
    state = {"State": "Active", "LastUpdateStatus": "Successful"}
    is_created = any(one["FunctionName"] == name for one in calls["CreateFunction"])
    match operation:
        case "GetRole":
            raise missing(client, "NoSuchEntity", operation)
        case "GetPolicy":
            raise missing(client, "ResourceNotFoundException", operation)
        case "GetFunction" | "GetFunctionConfiguration" if not is_created:
            raise missing(client, "ResourceNotFoundException", operation)
        case "CreateFunction" | "GetFunction" | "GetFunctionConfiguration":
            return {"FunctionArn": arn, **state, "Configuration": state}
        case "CreateRole":
            return {"Role": {"Arn": f"arn:aws:iam::{ACCOUNT}:role/{name}"}}
        case "ImportRestApi":
            return {"id": "a1b2c3d4e5"}
        case "PutRule":
            return {"RuleArn": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{name}"}
        case "CreateEventSourceMapping":
            return {"UUID": params["EventSourceArn"]}
        case "GetCallerIdentity":
            return {"Account": ACCOUNT}
    return {}


def missing(client: Any, code: str, operation: str) -> Any:
    kind = client.exceptions.from_code(code)
    return kind({"Error": {"Code": code, "Message": "there is none"}}, operation)


if __name__ == "__main__":
    main(sys.argv[1])

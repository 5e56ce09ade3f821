"""Has a stage run on other tables than it does: `make switch STAGE=… RESTORED=20261125T120000Z`.

Guarantee: it changes which tables the stage's stack has, and nothing else: not a line of code.
Policies, alarms and settings follow, since they name the tables by reference. The tables that it
leaves stay as they are, in no stack, and one can switch back to them. Whatever breaks it off, run
again it goes on.

CloudFormation cannot give a resource another table, so it is three changes:

    1  the stack without tables: whatever referred to them names the new ones outright.
       From here on the stage runs on the new tables
    2  the new tables are imported under the names of the old
    3  the stack as it was, with the parameter `Restored`: the references are back, and nothing
       that they refer to changes

Before the first the stage must be at rest (docs/runbook.md): while its functions change over, one
may still write to the old tables.
"""

import argparse
import copy
import json
import re
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

import boto3
import yaml
from botocore.exceptions import BotoCoreError, ClientError

from infra import ROOT
from infra.deploy.stacks import (
    TABLE,
    DeployError,
    Stack,
    importing,
    parameter_values,
    restored_as_said,
    table_names,
)
from infra.local import settings
from infra.local.settings import SetupError
from infra.ops import stages

_CAPABILITIES: Final = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
_MAX_BODY: Final = 51_200
"""Bytes of a template that CloudFormation takes without fetching it from S3."""


class Named(NamedTuple):
    """A table as references to it are resolved."""

    name: str
    arn: str


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="make switch", description=__doc__)
    parser.add_argument("stage")
    parser.add_argument("restored", help="as `make restore` says; `first` for how it began")
    asked = parser.parse_args(arguments)
    try:
        restored = restored_as_said(asked.restored)
        stages.enter(asked.stage)
        switch(asked.stage, restored)
    except (SetupError, DeployError) as error:
        sys.exit(f"Not switched: {error}")
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"Not switched; AWS says: {error}")
    print(f"The stage {asked.stage} runs on {' and '.join(stages.tables_of(asked.stage))}.")
    if asked.stage == settings.STAGE:
        print("Stop `make run` and start it again: it asks at its start.")
    print(f"What was unfinished then: make requeue STAGE={asked.stage}")


def switch(stage: str, restored: str) -> None:
    """Raises DeployError and what boto3 raises."""
    stack = stages.stack_of(stage)
    whole = _whole(stack, stage)
    tables = {
        logical_id: _find(name) for logical_id, name in table_names(whole, stage, restored).items()
    }
    names = {logical_id: table.name for logical_id, table in tables.items()}
    kept = _kept(stage)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(whole))
    known = stack.parameters() or set()
    values = {"Parameters": parameter_values(whole, {"Restored": restored}, known)}
    print("1/3  the stack on the new tables", flush=True)
    stack.change(**_given(detached(whole, tables), whole), **values, Capabilities=_CAPABILITIES)
    print("2/3  the new tables in the stack", flush=True)
    # As its transforms left it: an import may change nothing else, and SAM makes a new deployment
    # of the API each time that it is asked.
    attached = _read(stack.template("Processed"))
    attached.pop("Transform", None)
    attached["Resources"] |= {name: whole["Resources"][name] for name in tables}
    stack.change(
        **_given(attached, whole), **values, **importing(names), Capabilities=_CAPABILITIES
    )
    print("3/3  the stack as it was", flush=True)
    stack.change(**_given(whole, whole), **values, Capabilities=_CAPABILITIES)
    kept.unlink()


def detached(template: Mapping[str, Any], tables: Mapping[str, Named]) -> dict[str, Any]:
    """The template without its tables; what referred to them names these."""
    without: dict[str, Any] = copy.deepcopy(dict(template))
    for logical_id in tables:
        del without["Resources"][logical_id]
    named: dict[str, Any] = _named(without, tables)
    return named


def _named(value: Any, tables: Mapping[str, Named]) -> Any:
    match value:
        case {"Ref": str(table)} if table in tables:
            return tables[table].name
        case {"Fn::GetAtt": [str(table), "Arn"]} if table in tables:
            return tables[table].arn
        case {"Fn::Sub": str(text)}:
            return {"Fn::Sub": _filled(text, tables)}
        case dict():
            return {name: _named(part, tables) for name, part in value.items()}
        case list():
            return [_named(part, tables) for part in value]
    return value


def _filled(text: str, tables: Mapping[str, Named]) -> str:
    for logical_id, table in tables.items():
        text = text.replace(f"${{{logical_id}.Arn}}", table.arn)
        text = text.replace(f"${{{logical_id}}}", table.name)
    return text


def _whole(stack: Stack, stage: str) -> dict[str, Any]:
    """The stack's template, tables and all: the stack's own, or what a switch that broke off has
    kept of it. Raises DeployError.
    """
    kept = _kept(stage)
    template = _read(stack.template("Original"))
    if "Restored" not in template["Parameters"]:
        raise DeployError("the version that is deployed knows no other tables; deploy this one")
    if _refers_to_its_tables(template):
        return template
    if not kept.exists():
        raise DeployError(f"a switch broke off elsewhere; it goes on where {kept} is")
    print("Going on with a switch that broke off.")
    return _read(kept.read_text())


def _kept(stage: str) -> Path:
    return ROOT / "dist" / f"switch-{stage}.json"


def _refers_to_its_tables(template: Mapping[str, Any]) -> bool:
    tables = [name for name, one in template["Resources"].items() if one["Type"] == TABLE]
    text = json.dumps(template)
    return bool(tables) and all(json.dumps({"Ref": name}) in text for name in tables)


def _read(body: Any) -> dict[str, Any]:
    """boto3 has read it already if it is JSON."""
    read: dict[str, Any] = yaml.safe_load(body) if isinstance(body, str) else dict(body)
    return read


def _find(name: str) -> Named:
    """Raises DeployError."""
    dynamodb = boto3.client("dynamodb")
    try:
        table = dynamodb.describe_table(TableName=name)["Table"]
    except dynamodb.exceptions.ResourceNotFoundException:
        raise DeployError(f"there is no table {name}; make restore first") from None
    if table["TableStatus"] != "ACTIVE":
        raise DeployError(f"{name} is {table['TableStatus']}; make restore waits for it")
    return Named(name, table["TableArn"])


def _given(template: Mapping[str, Any], whole: Mapping[str, Any]) -> dict[str, str]:
    """As CloudFormation takes it: a large one from where the stack's code is."""
    body = json.dumps(template)
    if len(body.encode()) <= _MAX_BODY:
        return {"TemplateBody": body}
    found = re.search(r"s3://([^/\"]+)/", json.dumps(whole))
    if found is None:
        raise DeployError("the stack's template does not say where its code is")
    s3: Any = boto3.client("s3")
    key = f"{sha256(body.encode()).hexdigest()}.json"
    s3.put_object(Bucket=found[1], Key=key, Body=body.encode())
    return {"TemplateURL": f"{s3.meta.endpoint_url}/{found[1]}/{key}"}


if __name__ == "__main__":
    main(sys.argv[1:])

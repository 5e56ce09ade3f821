"""`make switch`: have a stage use restored tables, or the original ones again.

Guarantee: this changes only the tables of the stage's stack, and no code. Policies, alarms and
settings follow, because they refer to the tables. The previous tables stay as they are, outside any
stack, and one can switch back to them. A second run continues an interrupted one.

CloudFormation cannot give a resource another table, so this takes three changes:

    1  the stack without tables: references are replaced by the new tables' names and ARNs.
       From here on the stage uses the new tables
    2  an import of the new tables, under the logical ids of the old ones
    3  the original template, with the parameter `Restored`: the references are back, and still
       resolve to the new tables

The stage must be quiet before the first change (see the procedure for restoring tables): while
its functions are being updated, one may still write to the old tables.
"""

import copy
import json
import re
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

import boto3

from infra import ROOT, cli
from infra.deploy import yaml_text
from infra.deploy.stacks import (
    TABLE,
    DeployError,
    Stack,
    importing,
    parameter_values,
    restored_parameter,
    table_names,
)
from infra.local import settings
from infra.ops import stages

_CAPABILITIES: Final = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
_MAX_BODY: Final = 51_200
"""The largest template, in bytes, that CloudFormation accepts without S3."""


class Named(NamedTuple):
    """The values of references to a table."""

    name: str
    arn: str


def main(arguments: list[str]) -> None:
    parser = cli.parser("switch", __doc__)
    parser.add_argument(
        "restored", metavar="RESTORED", help="the moment that `make restore` printed, or `first`"
    )
    asked = parser.parse_args(arguments)
    with stages.operated(asked.stage, "Not switched"):
        switch(asked.stage, restored_parameter(asked.restored))
        tables = stages.tables_of(asked.stage)
    print(f"The stage {asked.stage} uses {' and '.join(tables)}.")
    if asked.stage == settings.STAGE:
        print("Stop `make run` and start it again: it reads the tables' names when it starts.")
    print(f"Then enqueue unfinished work again: make requeue STAGE={asked.stage}")


def switch(stage: str, restored: str) -> None:
    """Make the three changes. Raises DeployError or boto3 errors."""
    stack = stages.stack_of(stage)
    whole = _whole(stack, stage)
    tables = {
        logical_id: _find(name) for logical_id, name in table_names(whole, stage, restored).items()
    }
    names = {logical_id: table.name for logical_id, table in tables.items()}
    saved = _saved(stage)
    saved.parent.mkdir(parents=True, exist_ok=True)
    saved.write_text(json.dumps(whole))
    known = stack.parameters() or set()
    values = {"Parameters": parameter_values(whole, {"Restored": restored}, known)}
    print("1/3  Point the stack at the new tables", flush=True)
    stack.change(**_given(detached(whole, tables), whole), **values, Capabilities=_CAPABILITIES)
    print("2/3  Import the new tables into the stack", flush=True)
    # Use the template after its transforms: an import may change nothing else, and SAM would
    # create a new deployment of the API.
    attached = _read(stack.template("Processed"))
    attached.pop("Transform", None)
    attached["Resources"] |= {name: whole["Resources"][name] for name in tables}
    stack.change(
        **_given(attached, whole), **values, **importing(names), Capabilities=_CAPABILITIES
    )
    print("3/3  Restore the original template", flush=True)
    stack.change(**_given(whole, whole), **values, Capabilities=_CAPABILITIES)
    saved.unlink()


def detached(template: Mapping[str, Any], tables: Mapping[str, Named]) -> dict[str, Any]:
    """Return the template without its tables, with references replaced by `tables`."""
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
    """Return the stack's template with its tables: the current one, or the one that an
    interrupted switch saved. Raises DeployError.
    """
    saved = _saved(stage)
    template = _read(stack.template("Original"))
    if "Restored" not in template["Parameters"]:
        raise DeployError("The deployed version cannot switch tables; deploy this version first.")
    if _refers_to_its_tables(template):
        return template
    if not saved.exists():
        raise DeployError(f"A switch was interrupted in another folder. Continue where {saved} is.")
    print("Continuing an interrupted switch.")
    return _read(saved.read_text())


def _saved(stage: str) -> Path:
    return ROOT / "dist" / f"switch-{stage}.json"


def _refers_to_its_tables(template: Mapping[str, Any]) -> bool:
    tables = [name for name, one in template["Resources"].items() if one["Type"] == TABLE]
    text = json.dumps(template)
    return bool(tables) and all(json.dumps({"Ref": name}) in text for name in tables)


def _read(body: Any) -> dict[str, Any]:
    """Parse a template, unless boto3 has already parsed it as JSON."""
    read: dict[str, Any] = yaml_text.read(body) if isinstance(body, str) else dict(body)
    return read


def _find(name: str) -> Named:
    """Look up a table. Raises DeployError if it is not ready."""
    dynamodb = boto3.client("dynamodb")
    try:
        table = dynamodb.describe_table(TableName=name)["Table"]
    except dynamodb.exceptions.ResourceNotFoundException:
        raise DeployError(f"There is no table {name}. Run `make restore` first.") from None
    if table["TableStatus"] != "ACTIVE":
        raise DeployError(f"{name} is {table['TableStatus']}; `make restore` waits for it.")
    return Named(name, table["TableArn"])


def _given(template: Mapping[str, Any], whole: Mapping[str, Any]) -> dict[str, str]:
    """Return the argument with the template: as text, or by URL if it is large."""
    body = json.dumps(template)
    if len(body.encode()) <= _MAX_BODY:
        return {"TemplateBody": body}
    found = re.search(r"s3://([^/\"]+)/", json.dumps(whole))
    if found is None:
        raise DeployError("The stack's template does not name the bucket of its code.")
    s3: Any = boto3.client("s3")
    key = f"{sha256(body.encode()).hexdigest()}.json"
    s3.put_object(Bucket=found[1], Key=key, Body=body.encode())
    return {"TemplateURL": f"{s3.meta.endpoint_url}/{found[1]}/{key}"}


if __name__ == "__main__":
    main(sys.argv[1:])

"""`make policies`: write the policy files of plain `chalice deploy` and `chalice package`.

The one source is infra/policies, a file for each function. CloudFormation resolves its references
in what `make package` builds. Chalice by itself hands a policy to IAM as it is, so each stage has
files in .chalice with the ARNs written out. The account and the region are not known before a
deploy: an identity's policy can only reach its own account, unless another account invites it.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from infra import ROOT
from infra.deploy import yaml_text

SOURCE: Final = ROOT / "infra" / "policies"
CHALICE: Final = ROOT / ".chalice"
_NAMED_BY: Final = {
    "AWS::DynamoDB::Table": ("TableName", "dynamodb", "table/"),
    "AWS::SQS::Queue": ("QueueName", "sqs", ""),
}
"""The kinds of resources that policies name: the property of the name, and the ARN's parts."""

_MOMENTS: Final = ("", "????????T??????Z-")
"""The parameter `Restored` of infra/backend.yaml: a stage's first tables, or any restored ones."""


def main() -> None:
    for stage in deployed_stages():
        for function in functions():
            (CHALICE / file_name(function, stage)).write_text(written_out(function, stage))


def functions() -> list[str]:
    return sorted(path.stem for path in SOURCE.glob("*.json"))


def deployed_stages() -> list[str]:
    stages = json.loads((CHALICE / "config.json").read_text())["stages"]
    return sorted(stages.keys() - {"local"})


def file_name(function: str, stage: str) -> str:
    """Return the name of the function's file in .chalice."""
    return f"policy-{function}-{stage}.json"


def source(function: str) -> Any:
    return json.loads((SOURCE / f"{function}.json").read_text())


def written_out(function: str, stage: str) -> str:
    """Return the function's policy for plain Chalice. Raises KeyError for an unknown reference."""
    names = [_names(stage, moment) for moment in _MOMENTS]
    policy = resolved(source(function), names[0])
    for statement, original in zip(policy["Statement"], source(function)["Statement"], strict=True):
        # A table is the stage's first one, or one that was restored.
        listed = [resolved(original["Resource"], one) for one in names]
        flat = [arn for one in listed for arn in (one if isinstance(one, list) else [one])]
        statement["Resource"] = list(dict.fromkeys(flat))
        # Chalice cannot give a function the URL of a queue, so the function looks it up.
        if "sqs:SendMessage" in statement["Action"]:
            statement["Action"].insert(0, "sqs:GetQueueUrl")
        # `chalice package` leaves the function's name, and so its log group, to CloudFormation.
        if "logs:CreateLogStream" in statement["Action"]:
            statement["Action"].insert(0, "logs:CreateLogGroup")
            group = f"arn:aws:logs:*:*:log-group:/aws/lambda/payflow-{stage}"
            statement["Resource"] = [f"{group}:*", f"{group}-*"]
    return json.dumps(policy, indent=2) + "\n"


def resolved(value: Any, names: Mapping[str, str]) -> Any:
    """Return `value` with CloudFormation's functions resolved. Raises KeyError if it cannot."""
    match value:
        case {"Fn::GetAtt": [str(resource), str(attribute)]}:
            return names[f"{resource}.{attribute}"]
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{([^}]+)\}", lambda found: names[found[1]], text)
        case dict():
            return {name: resolved(part, names) for name, part in value.items()}
        case list():
            return [resolved(part, names) for part in value]
    return value


def _names(stage: str, moment: str) -> dict[str, str]:
    """Return what the policies refer to: pseudo parameters, and the ARNs in infra/backend.yaml."""
    names = {"AWS::Partition": "aws", "AWS::Region": "*", "AWS::AccountId": "*", "Stage": stage}
    template = yaml_text.read((ROOT / "infra" / "backend.yaml").read_text())
    # A key has no name; the policies' condition on its alias says which one.
    names["SecretsKey.Arn"] = "arn:aws:kms:*:*:key/*"
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] in _NAMED_BY:
            key, service, kind = _NAMED_BY[resource["Type"]]
            name = resolved(resource["Properties"][key], {**names, "Restored": moment})
            names[f"{logical_id}.Arn"] = f"arn:aws:{service}:*:*:{kind}{name}"
        if resource["Type"] == "AWS::S3::Bucket":  # its ARN has no region and no account
            name = resolved(resource["Properties"]["BucketName"], names)
            names[f"{logical_id}.Arn"] = f"arn:aws:s3:::{name}"
    return names


def copy_sources_into(folder: Path, stage: str) -> None:
    """Write the sources, for CloudFormation to resolve, in the place of a stage's files."""
    for function in functions():
        text = (SOURCE / f"{function}.json").read_text()
        (folder / file_name(function, stage)).write_text(text)


if __name__ == "__main__":
    main()

"""The operations page covers every alarm, and names no command that does not exist."""

import re
from typing import Any

from infra.deploy import yaml_text
from infra.local.provision import template
from tests.docs.pages import ROOT, section

PAGE = "docs/operations.md"
LISTED = re.compile(r"^\| `([a-z-]+)` \| (.+) \| (.+) \| (.+) \|$", re.MULTILINE)


def alarms() -> list[str]:
    package: Any = yaml_text.read((ROOT / "infra" / "package.yaml").read_text())
    resources = [*template()["Resources"].values(), *package["Resources"].values()]
    return [
        resource["Properties"]["AlarmName"]["Fn::Sub"].removeprefix("payflow-${Stage}-")
        for resource in resources
        if resource.get("Type") == "AWS::CloudWatch::Alarm"
    ]


def test_every_alarm_has_a_row_and_every_row_an_alarm() -> None:
    rows = LISTED.findall(section(PAGE, "Alarm by alarm"))
    assert sorted(name for name, *_ in rows) == sorted(alarms())
    assert len(rows) == 35


def test_every_procedure_is_in_the_list_of_contents() -> None:
    text = (ROOT / PAGE).read_text()
    listed = re.findall(r"^- \[(.+)\]\(#.+\)$", text, re.MULTILINE)
    assert listed == re.findall(r"^## (.+)$", text, re.MULTILINE)

"""The runbook knows every alarm, and names no command, section or file that there is not."""

import re
from pathlib import Path
from typing import Any

import yaml

from infra.local.provision import template
from tests.test_makefile import targets

ROOT = Path(__file__).parent.parent
RUNBOOK = (ROOT / "docs" / "operations.md").read_text()


def alarms() -> list[str]:
    package: Any = yaml.safe_load((ROOT / "infra" / "package.yaml").read_text())
    resources = [*template()["Resources"].values(), *package["Resources"].values()]
    return [
        resource["Properties"]["AlarmName"]["Fn::Sub"].removeprefix("payflow-${Stage}-")
        for resource in resources
        if resource.get("Type") == "AWS::CloudWatch::Alarm"
    ]


def test_every_alarm_has_its_row_and_no_row_is_without_its_alarm() -> None:
    section = RUNBOOK.partition("## Alarm by alarm\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z-]+)` \| (.+) \| (.+) \| (.+) \|$", section, re.MULTILINE)
    assert sorted(name for name, *_ in rows) == sorted(alarms())
    assert len(rows) == 25


def test_every_command_that_it_names_is_there() -> None:
    named = set(re.findall(r"(?:^\$ |`)make\s([a-z0-9-]+)", RUNBOOK, re.MULTILINE))
    assert {"redrive", "hint", "restore", "switch", "key"} <= named <= targets()


def test_every_link_leads_to_a_section() -> None:
    sections = {
        re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^## (.+)$", RUNBOOK, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([a-z0-9-]+)\)", RUNBOOK)) == sections
    for file in re.findall(r"`((?:tests|infra)/\S+\.\w+)`", RUNBOOK):
        assert (ROOT / file).exists()

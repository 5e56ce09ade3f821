"""The `curl` sessions of the documentation, run as they stand, with the answers that they show.

`…` stands for any text. Ids, secrets, times and request ids differ from run to run: what a command
got in the place of one is what the later commands of the page use for it.
"""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Command, commands
from tests.engines import accepts, free_port, wait_until
from tests.stack.conftest import Client, Stack

NAMED = r"(?:PAY|REF|EP)-[0-9A-HJKMNP-TV-Z]{26}|whsec_…"
PATTERNS = {
    r"whsec_…": r"whsec_[A-Za-z0-9+/=]+",
    r"(?:PAY|REF|EP)-[0-9A-HJKMNP-TV-Z]{26}": r"[A-Z]{2,3}-[0-9A-HJKMNP-TV-Z]{26}",
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z": r"[0-9T:.-]+Z",
    r"[0-9a-f]{8}-[0-9a-f-]{27}": r"[0-9a-f-]{36}",
    r" ?… ?": r".*",
}


def expected(shown: str) -> str:
    """The regular expression of what a page shows; each name is a group, in order."""
    pattern = ""
    for part in re.split(f"({'|'.join(PATTERNS)})", shown.rstrip("\n")):
        fitting = [regex for kind, regex in PATTERNS.items() if re.fullmatch(kind, part)]
        regex = fitting[0] if fitting else re.escape(part)
        pattern += f"({regex})" if re.fullmatch(NAMED, part) else regex
    return pattern


def run(command: Command, written: dict[str, str]) -> re.Match[str] | None:
    """Type the command with `written` replaced; what it said, if that is what the page shows."""
    typed = command.typed
    for documented, actual in written.items():
        typed = typed.replace(documented, actual)
    said = subprocess.run(["bash", "-c", typed], capture_output=True, text=True, check=True).stdout
    for documented, actual in written.items():
        if documented.startswith(":"):  # a port, in an address
            said = said.replace(actual, documented)
    return re.fullmatch(expected(command.shown), said.strip(), re.DOTALL)


def check_session(page: str, api_port: int, receiver_port: int) -> None:
    """Run every `curl` of the page; a read is repeated until its answer is the one shown."""
    found = commands((ROOT / page).read_text())
    session = [command for command in found if command.typed.startswith("curl ")]
    written = {":8000/": f":{api_port}/", ":8090/": f":{receiver_port}/"}
    assert session
    for command in session:
        matched = run(command, written)
        if matched is None and " -d " not in command.typed:
            matched = wait_until(partial(run, command, written), f"{command} answers as shown")
        assert matched, command
        written |= dict(zip(re.findall(NAMED, command.shown), matched.groups(), strict=True))


@pytest.fixture
def without_endpoints(client: Client) -> Iterator[None]:
    yield
    for endpoint in client.get("/v1/webhook_endpoints").json["webhook_endpoints"]:
        client.request("DELETE", f"/v1/webhook_endpoints/{endpoint['id']}")


@pytest.mark.usefixtures("without_endpoints")
@pytest.mark.parametrize("page", ["docs/api.md", "docs/webhooks.md"])
def test_session_answers_as_the_page_shows(stack: Stack, page: str) -> None:
    check_session(page, stack.local.api_port, stack.local.receiver_port)


def test_readme_leads_from_make_run_to_make_reset(tmp_path: Path) -> None:
    """By `make`, as a newcomer types it, but for the ports and without the dashboard."""
    ports = {name: free_port() for name in ("API", "AWS", "RECEIVER")}
    env = os.environ | {f"PAYFLOW_{name}_PORT": str(port) for name, port in ports.items()}
    env |= {"PAYFLOW_STATE_DIR": str(tmp_path), "PAYFLOW_DASHBOARD": "off"}
    stack = subprocess.Popen(["make", "run"], cwd=ROOT, env=env, start_new_session=True)
    try:
        up = partial(accepts, ports["API"])
        wait_until(lambda: up() or stack.poll() is not None, "the stack is up", seconds=60)
        check_session("README.md", ports["API"], ports["RECEIVER"])
        make(env, "seed", "N=3")
        make(env, "key", "STAGE=local", "NAME=operator", "SCOPES=admin")
    finally:
        os.killpg(stack.pid, signal.SIGINT)
        stack.wait(60)
    assert (tmp_path / "aws").exists()
    make(env, "reset")
    assert not (tmp_path / "aws").exists()


def make(env: dict[str, str], *arguments: str) -> None:
    subprocess.run(["make", *arguments], cwd=ROOT, env=env, check=True)

"""The suite says the same in any shell: a sample of it runs in one where everything is wrong."""

import locale
import os
import subprocess
import sys
import time

from tests import engines

NOBODY = "http://127.0.0.1:9"
HOSTILE = {
    "PAYFLOW_STAGE": "prod",
    "PAYFLOW_AUTH": "required",
    "PAYFLOW_SIMULATION": "forbidden",
    "PAYFLOW_ALLOWED_ORIGIN": "https://other.example",
    "PAYFLOW_DASHBOARD_PORT": "18002",
    "PAYFLOW_DYNAMODB": "no engine",
    "PAYFLOW_PAYMENTS_TABLE": "other-table",
    "AWS_PROFILE": "nowhere",
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ENDPOINT_URL": NOBODY,
    "AWS_CONFIG_FILE": "/nowhere/config",
    "AWS_MAX_ATTEMPTS": "none",
    "HTTP_PROXY": NOBODY,
    "http_proxy": NOBODY,
    "HTTPS_PROXY": NOBODY,
    "https_proxy": NOBODY,
    "ALL_PROXY": NOBODY,
    "all_proxy": NOBODY,
    "NO_PROXY": "",
    "no_proxy": "",
    "LANG": "tr_TR.ISO-8859-9",
    "LANGUAGE": "tr",
    "LC_ALL": "tr_TR.UTF-8",
    "TZ": "Pacific/Kiritimati",
    "PYTHONPATH": "/nowhere",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONIOENCODING": "ascii",
    "HOME": "/nowhere",
}
SAMPLE = [
    "tests/test_environment.py::test_the_environment_is_the_tests_own",
    "tests/test_config.py",
    "tests/api/test_app.py::test_location_has_the_stage_prefix_and_request_id_is_api_gateways",
    "tests/stack/test_http.py::test_preflight_allows_the_headers_to_one_origin",
    "tests/stack/test_http.py::test_a_replay_is_200_with_the_stored_body_byte_for_byte",
]


def run(*command: str, cwd: str = ".") -> subprocess.CompletedProcess[str]:
    """Run in a hostile shell, and as a suite of its own."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PAYFLOW_TEST_", "PYTEST_"))
    }
    return subprocess.run(
        command,
        cwd=engines.ROOT / cwd,
        env=inherited | HOSTILE,
        umask=0o077,
        check=False,
        capture_output=True,
        text=True,
    )


def test_the_environment_is_the_tests_own() -> None:
    """It can fail in a shell such as the one below, where it is part of the sample."""
    assert not [name for name in HOSTILE.keys() - {"HOME"} if os.environ.get(name) == HOSTILE[name]]
    assert (time.timezone, locale.getencoding()) == (0, "UTF-8")


def test_a_hostile_shell_changes_no_python_test() -> None:
    ended = run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *SAMPLE)
    assert ended.returncode == 0, ended.stdout


def test_a_hostile_shell_changes_no_dashboard_test() -> None:
    engines.node_packages()
    ended = run("npm", "test", "--silent", "--", "totals", cwd="frontend")
    assert ended.returncode == 0, ended.stdout

"""Where the local stack lives: its ports, its folder and the environment of its processes."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
STAGE = "local"
_ACCOUNT = "000000000000"
# What a developer's own AWS set-up would otherwise lend to the local stack.
_FOREIGN = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_SHARED_CREDENTIALS_FILE")


class SetupError(Exception):
    """Something that a person can put right; the message says how."""


@dataclass(frozen=True)
class Local:
    """One local stack. Two with other ports and another folder do not meet."""

    state: Path
    api_port: int
    aws_port: int
    dashboard_port: int
    visibility_seconds: int

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def aws_config(self) -> Path:
        return self.state / "aws.config"

    @property
    def api_url(self) -> str:
        return f"http://{HOST}:{self.api_port}"

    @property
    def aws_url(self) -> str:
        return f"http://{HOST}:{self.aws_port}"

    @property
    def queue_url(self) -> str:
        return f"{self.aws_url}/{_ACCOUNT}/payflow-webhooks-{STAGE}"

    def environment(self, env: Mapping[str, str] = os.environ) -> dict[str, str]:
        """For the stack's own processes: the `local` stage as .chalice/config.json has it,
        on these ports. A PAYFLOW_ variable that is set wins; AWS variables never do.
        """
        config = json.loads((ROOT / ".chalice" / "config.json").read_text())
        stage: dict[str, str] = config["stages"][STAGE]["environment_variables"]
        own = stage | {
            "PAYFLOW_ALLOWED_ORIGIN": f"http://localhost:{self.dashboard_port}",
            "PAYFLOW_WEBHOOK_QUEUE_URL": self.queue_url,
            "AWS_CONFIG_FILE": str(self.aws_config),
            "PYTHONUNBUFFERED": "1",
        }
        inherited = {
            name: value
            for name, value in env.items()
            if name not in _FOREIGN and not name.startswith("AWS_ENDPOINT_URL")
        }
        chosen = {name: value for name, value in env.items() if name.startswith("PAYFLOW_")}
        return inherited | own | chosen | {"PAYFLOW_STAGE": STAGE}

    def write_aws_config(self) -> None:
        """For every AWS client of the stack, `chalice local` and a person's own `aws` alike."""
        self.aws_config.write_text(
            f"[default]\nregion = ca-central-1\nendpoint_url = {self.aws_url}\n"
            "aws_access_key_id = local\naws_secret_access_key = local\n"
        )


def from_environment(env: Mapping[str, str] = os.environ) -> Local:
    """Raises SetupError for a port that is none, or two that are one."""
    local = Local(
        state=ROOT / env.get("PAYFLOW_STATE_DIR", ".payflow"),
        api_port=_port(env, "PAYFLOW_API_PORT", 8000),
        aws_port=_port(env, "PAYFLOW_AWS_PORT", 4566),
        dashboard_port=_port(env, "PAYFLOW_DASHBOARD_PORT", 5173),
        visibility_seconds=_whole(env, "PAYFLOW_VISIBILITY_SECONDS", 5, "seconds", 43_200),
    )
    if local.api_port == local.aws_port:
        raise SetupError(
            f"PAYFLOW_API_PORT and PAYFLOW_AWS_PORT are both {local.api_port}; give them two ports."
        )
    return local


def _port(env: Mapping[str, str], name: str, default: int) -> int:
    return _whole(env, name, default, "a port number", 65_535)


def _whole(env: Mapping[str, str], name: str, default: int, what: str, most: int) -> int:
    text = env.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
        raise SetupError(f"{name} is {text!r}; it must be {what}, 1 to {most}.")
    return int(text)

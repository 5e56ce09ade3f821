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
# A developer's own AWS set-up and proxies must not reach the stack, nor the stack them.
_FOREIGN = ("AWS_", "BOTO_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


class SetupError(Exception):
    """Something that a person can put right; the message says how."""


@dataclass(frozen=True)
class Local:
    """One local stack. Two with other ports and another folder do not meet."""

    state: Path
    api_port: int
    aws_port: int
    dashboard_port: int
    sink_port: int
    visibility_seconds: int
    serves_dashboard: bool = True

    @property
    def ports(self) -> set[int]:
        return {self.api_port, self.aws_port, self.dashboard_port, self.sink_port}

    @property
    def dashboard_url(self) -> str:
        return f"http://localhost:{self.dashboard_port}"

    @property
    def sink_url(self) -> str:
        return f"http://{HOST}:{self.sink_port}"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    def log_of(self, module: str) -> Path:
        """What the process that runs `module` prints."""
        return self.logs / f"{module.rpartition('.')[2]}.log"

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

    @property
    def deliveries_url(self) -> str:
        return f"{self.aws_url}/{_ACCOUNT}/payflow-deliveries-{STAGE}"

    def environment(self, env: Mapping[str, str] = os.environ) -> dict[str, str]:
        """For the stack's own processes: the `local` stage as .chalice/config.json has it,
        on these ports. A PAYFLOW_ variable that is set wins; AWS variables never do.
        """
        config = json.loads((ROOT / ".chalice" / "config.json").read_text())
        stage: dict[str, str] = config["stages"][STAGE]["environment_variables"]
        own = stage | {
            "PAYFLOW_ALLOWED_ORIGIN": self.dashboard_url,
            "PAYFLOW_WEBHOOK_QUEUE_URL": self.queue_url,
            "PAYFLOW_DELIVERIES_QUEUE_URL": self.deliveries_url,
            "AWS_CONFIG_FILE": str(self.aws_config),
            "PAYFLOW_API_PORT": str(self.api_port),
            "PYTHONUNBUFFERED": "1",
        }
        inherited = {
            name: value for name, value in env.items() if not name.upper().startswith(_FOREIGN)
        }
        chosen = {name: value for name, value in env.items() if name.startswith("PAYFLOW_")}
        return inherited | own | chosen | {"PAYFLOW_STAGE": STAGE}

    def enter_environment(self) -> None:
        """From here on this process, and those that it starts, live in the stack's environment."""
        environment = self.environment()
        os.environ.clear()
        os.environ.update(environment)

    def write_aws_config(self) -> None:
        """For every AWS client of the stack, `chalice local` and a person's own `aws` alike."""
        self.aws_config.write_text(
            f"[default]\nregion = ca-central-1\nendpoint_url = {self.aws_url}\n"
            "aws_access_key_id = local\naws_secret_access_key = local\n"
        )


def from_environment(env: Mapping[str, str] = os.environ) -> Local:
    """Raises SetupError for a port that is none, or several that are one."""
    local = Local(
        state=ROOT / (env.get("PAYFLOW_STATE_DIR") or ".payflow"),
        api_port=_port(env, "PAYFLOW_API_PORT", 8000),
        aws_port=_port(env, "PAYFLOW_AWS_PORT", 4566),
        dashboard_port=_port(env, "PAYFLOW_DASHBOARD_PORT", 5173),
        sink_port=_port(env, "PAYFLOW_SINK_PORT", 8090),
        visibility_seconds=_whole(env, "PAYFLOW_VISIBILITY_SECONDS", 5, "seconds", 43_200),
        serves_dashboard=env.get("PAYFLOW_DASHBOARD") != "off",
    )
    _whole(env, "PAYFLOW_SWEEP_UNIT_SECONDS", 5, "seconds", 3_600)
    _whole(env, "PAYFLOW_DELIVERY_LEASE_SECONDS", 25, "seconds", 3_600)
    if len(local.ports) < 4:
        raise SetupError(
            "PAYFLOW_API_PORT, PAYFLOW_AWS_PORT, PAYFLOW_DASHBOARD_PORT and PAYFLOW_SINK_PORT "
            f"must be four ports; they are {local.api_port}, {local.aws_port}, "
            f"{local.dashboard_port} and {local.sink_port}."
        )
    return local


def _port(env: Mapping[str, str], name: str, default: int) -> int:
    return _whole(env, name, default, "a port number", 65_535)


def _whole(env: Mapping[str, str], name: str, default: int, what: str, most: int) -> int:
    text = env.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
        raise SetupError(f"{name} is {text!r}; it must be {what}, 1 to {most}.")
    return int(text)

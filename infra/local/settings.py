"""The local stack's ports, its folder, and the environment of its processes."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra import ROOT

HOST = "127.0.0.1"
STAGE = "local"
_ACCOUNT = "000000000000"
_EMULATED = "emulated"
_DYNAMODB_LOCAL = "dynamodb-local"
# The data folder, by whether DynamoDB Local is the engine.
_DATA = {False: "aws", True: "aws-dynamodb-local"}
# Keep the developer's own AWS settings and proxies away from the stack.
_FOREIGN = ("AWS_", "BOTO_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


class SetupError(Exception):
    """Something that the developer can fix; the message says how."""


@dataclass(frozen=True)
class Local:
    """One local stack. Stacks with different ports and folders do not share anything."""

    state: Path
    api_port: int
    aws_port: int
    dashboard_port: int
    receiver_port: int
    visibility_seconds: int
    serves_dashboard: bool = True
    dynamodb_port: int | None = None
    """The port of DynamoDB Local; None if the emulated AWS keeps the tables."""

    @property
    def ports(self) -> dict[str, int]:
        """The ports, by the variables that set them."""
        ports = {
            "PAYFLOW_API_PORT": self.api_port,
            "PAYFLOW_AWS_PORT": self.aws_port,
            "PAYFLOW_DASHBOARD_PORT": self.dashboard_port,
            "PAYFLOW_RECEIVER_PORT": self.receiver_port,
        }
        if self.dynamodb_port is not None:
            ports["PAYFLOW_DYNAMODB_PORT"] = self.dynamodb_port
        return ports

    @property
    def data(self) -> Path:
        """The emulated AWS's data. Each engine has its own rows and messages, so that no message
        names a payment that only the other engine has.
        """
        return self.state / _DATA[self.dynamodb_port is not None]

    @property
    def all_data(self) -> list[Path]:
        """The data folders of both engines."""
        return [self.state / name for name in _DATA.values()]

    @property
    def tables(self) -> Path:
        """DynamoDB Local's data, if it is the engine."""
        return self.data / "dynamodb-local"

    @property
    def dashboard_url(self) -> str:
        return f"http://localhost:{self.dashboard_port}"

    @property
    def receiver_url(self) -> str:
        return f"http://{HOST}:{self.receiver_port}"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    def log_of(self, module: str) -> Path:
        """The file with the output of the process that runs `module`."""
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
    def dynamodb_url(self) -> str:
        port = self.aws_port if self.dynamodb_port is None else self.dynamodb_port
        return f"http://{HOST}:{port}"

    @property
    def queue_url(self) -> str:
        return f"{self.aws_url}/{_ACCOUNT}/payflow-webhooks-{STAGE}"

    @property
    def deliveries_url(self) -> str:
        return f"{self.aws_url}/{_ACCOUNT}/payflow-deliveries-{STAGE}"

    @property
    def exports_url(self) -> str:
        return f"{self.aws_url}/{_ACCOUNT}/payflow-exports-{STAGE}"

    def environment(self, env: Mapping[str, str] = os.environ) -> dict[str, str]:
        """The environment of the stack's processes: the stage `local` of .chalice/config.json,
        on these ports. Variables PAYFLOW_* in `env` override it; AWS variables never do.
        """
        config = json.loads((ROOT / ".chalice" / "config.json").read_text())
        stage: dict[str, str] = config["stages"][STAGE]["environment_variables"]
        own = stage | {
            "PAYFLOW_ALLOWED_ORIGIN": self.dashboard_url,
            "PAYFLOW_WEBHOOK_QUEUE_URL": self.queue_url,
            "PAYFLOW_DELIVERIES_QUEUE_URL": self.deliveries_url,
            "PAYFLOW_EXPORTS_QUEUE_URL": self.exports_url,
            "AWS_CONFIG_FILE": str(self.aws_config),
            "PAYFLOW_API_PORT": str(self.api_port),
            "PAYFLOW_PARTIAL_BATCHES": "reported",
            "PYTHONUNBUFFERED": "1",
            # With it, Python does not ask macOS for proxies, which would kill the API's processes:
            # they are forked.
            "NO_PROXY": f"{HOST},localhost",
        }
        inherited = {
            name: value for name, value in env.items() if not name.upper().startswith(_FOREIGN)
        }
        chosen = {name: value for name, value in env.items() if name.startswith("PAYFLOW_")}
        return inherited | own | chosen | {"PAYFLOW_STAGE": STAGE}

    def enter_environment(self) -> None:
        """Switch this process, and those that it starts, to the stack's environment."""
        environment = self.environment()
        os.environ.clear()
        os.environ.update(environment)

    def write_aws_config(self) -> None:
        """Write the AWS configuration for the stack's clients, `chalice local` and `aws`."""
        self.aws_config.write_text(
            f"[default]\nregion = ca-central-1\nendpoint_url = {self.aws_url}\n"
            "aws_access_key_id = local\naws_secret_access_key = local\nservices = local\n"
            f"[services local]\ndynamodb =\n  endpoint_url = {self.dynamodb_url}\n"
        )


def from_environment(env: Mapping[str, str] = os.environ) -> Local:
    """Read the settings. Raises SetupError for an invalid one, or a port used twice."""
    local = Local(
        state=ROOT / (env.get("PAYFLOW_STATE_DIR") or ".payflow"),
        api_port=_port(env, "PAYFLOW_API_PORT", 8000),
        aws_port=_port(env, "PAYFLOW_AWS_PORT", 4566),
        dashboard_port=_port(env, "PAYFLOW_DASHBOARD_PORT", 5173),
        receiver_port=_port(env, "PAYFLOW_RECEIVER_PORT", 8090),
        visibility_seconds=_whole(env, "PAYFLOW_VISIBILITY_SECONDS", 5, "seconds", 43_200),
        serves_dashboard=env.get("PAYFLOW_DASHBOARD") != "off",
        dynamodb_port=(
            _port(env, "PAYFLOW_DYNAMODB_PORT", 4567) if _has_dynamodb_local(env) else None
        ),
    )
    _whole(env, "PAYFLOW_SWEEP_UNIT_SECONDS", 5, "seconds", 3_600)
    _whole(env, "PAYFLOW_FEED_BEHIND_SECONDS", 1, "seconds", 3_600)
    _whole(env, "PAYFLOW_DELIVERY_LEASE_SECONDS", 25, "seconds", 3_600)
    _whole(env, "PAYFLOW_EXPORT_LEASE_SECONDS", 15, "seconds", 3_600)
    if len(set(local.ports.values())) < len(local.ports):
        chosen = ", ".join(f"{name}={port}" for name, port in local.ports.items())
        raise SetupError(f"Each server needs a port of its own; these are not distinct: {chosen}.")
    return local


def _has_dynamodb_local(env: Mapping[str, str]) -> bool:
    engine = env.get("PAYFLOW_DYNAMODB") or _EMULATED
    if engine not in {_EMULATED, _DYNAMODB_LOCAL}:
        raise SetupError(
            f"PAYFLOW_DYNAMODB is {engine!r}; it must be {_EMULATED} (the default) "
            f"or {_DYNAMODB_LOCAL}."
        )
    return engine == _DYNAMODB_LOCAL


def _port(env: Mapping[str, str], name: str, default: int) -> int:
    return _whole(env, name, default, "a port number", 65_535)


def _whole(env: Mapping[str, str], name: str, default: int, what: str, most: int) -> int:
    text = env.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
        raise SetupError(f"{name} is {text!r}; it must be {what}, 1 to {most}.")
    return int(text)

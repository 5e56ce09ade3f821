"""Settings fail closed: what is not said in so many words is not so."""

import json

import pytest

from chalicelib import config
from chalicelib.config import SettingError, Settings, from_environment
from infra.deploy import yaml_text
from tests.conftest import SETTINGS
from tests.engines import ROOT

STAGES = json.loads((ROOT / ".chalice" / "config.json").read_text())["stages"]


def settings(name: str, said: str | None) -> Settings:
    """With one setting as it is said, or unset."""
    env = {**SETTINGS, name: said}
    return from_environment({name: value for name, value in env.items() if value is not None})


@pytest.mark.parametrize(
    "said", [None, "", "required", "OPEN", "open ", "opened", "none", "off", "false", "0"]
)
def test_key_is_required_unless_auth_is_open(said: str | None) -> None:
    assert settings("PAYFLOW_AUTH", said).key_required


def test_stage_whose_auth_is_open_needs_no_key() -> None:
    assert not settings("PAYFLOW_AUTH", "open").key_required


def test_only_the_local_stage_is_open() -> None:
    said = {
        name: stage["environment_variables"].get("PAYFLOW_AUTH") for name, stage in STAGES.items()
    }
    assert said == {"local": "open", "dev": None, "prod": None}


@pytest.mark.parametrize("said", [None, "", "refused", "ALLOWED", "true", "1"])
def test_simulation_is_refused_unless_it_is_allowed(said: str | None) -> None:
    assert not settings("PAYFLOW_SIMULATION", said).simulation_allowed


@pytest.mark.parametrize("said", [None, "", "refused", "ALLOWED", "true", "1"])
def test_private_addresses_are_refused_unless_allowed(said: str | None) -> None:
    assert not settings("PAYFLOW_WEBHOOKS_PRIVATE", said).private_webhooks_allowed


def test_only_the_local_stage_allows_private_addresses() -> None:
    variables = {name: stage["environment_variables"] for name, stage in STAGES.items()}
    said = {name: one.get("PAYFLOW_WEBHOOKS_PRIVATE") for name, one in variables.items()}
    assert said == {"local": "allowed", "dev": None, "prod": None}


def test_tables_are_those_of_the_stage_unless_named() -> None:
    own = from_environment(SETTINGS)
    assert own.payments_table == "payflow-payments-test"
    assert own.idempotency_table == "payflow-idempotency-test"
    restored = "payflow-payments-20261125T120000Z-test"
    assert settings("PAYFLOW_PAYMENTS_TABLE", restored).payments_table == restored
    restored = "payflow-idempotency-20261125T120000Z-test"
    assert settings("PAYFLOW_IDEMPOTENCY_TABLE", restored).idempotency_table == restored


def test_lease_is_longer_than_a_worker_may_run() -> None:
    lease_seconds = from_environment(SETTINGS).delivery_lease_seconds
    workers = [
        stage["lambda_functions"]["delivery_worker"]
        for stage in STAGES.values()
        if "lambda_functions" in stage
    ]
    assert len(workers) == 2
    assert all(worker["lambda_timeout"] < lease_seconds for worker in workers)


@pytest.mark.parametrize("name", ["PAYFLOW_STAGE", "PAYFLOW_ALLOWED_ORIGIN"])
@pytest.mark.parametrize("said", [None, ""])
def test_missing_setting_without_a_default_is_named(name: str, said: str | None) -> None:
    with pytest.raises(SettingError, match=rf"{name} is not set.*\.chalice/config\.json"):
        settings(name, said)


@pytest.mark.parametrize(
    "said",
    [
        "*", "null", "pay.example.com", "https://pay.example.com/", "https://pay.example.com/app",
        "https://a.example,https://b.example", " https://pay.example.com", "ftp://pay.example.com",
    ],
)  # fmt: skip
def test_origin_that_no_browser_sends_is_refused(said: str) -> None:
    with pytest.raises(SettingError, match=r"PAYFLOW_ALLOWED_ORIGIN is .* without a slash"):
        settings("PAYFLOW_ALLOWED_ORIGIN", said)


@pytest.mark.parametrize("said", ["Dev", "my-stage", "2nd", "dev ", "a" * 17])
def test_stage_that_infra_backend_yaml_refuses_is_refused(said: str) -> None:
    with pytest.raises(SettingError, match=r"PAYFLOW_STAGE is .* at most 16"):
        settings("PAYFLOW_STAGE", said)


def test_origin_and_stage_have_the_forms_of_the_templates() -> None:
    def pattern(template: str, parameter: str) -> str:
        text = (ROOT / "infra" / template).read_text()
        return str(yaml_text.read(text)["Parameters"][parameter]["AllowedPattern"])

    forms = {name: form for name, (form, _) in config.FORMS.items()}
    assert forms == {
        "PAYFLOW_STAGE": pattern("backend.yaml", "Stage"),
        "PAYFLOW_ALLOWED_ORIGIN": pattern("package.yaml", "AllowedOrigin"),
    }


def test_local_stage_that_was_never_created_says_how() -> None:
    env = {**SETTINGS, "PAYFLOW_STAGE": "local", "AWS_CONFIG_FILE": "no/such/aws.config"}
    with pytest.raises(SettingError, match=r"no no/such/aws\.config\. Run `make run`"):
        from_environment(env)


@pytest.mark.parametrize("name", ["PAYFLOW_SWEEP_UNIT_SECONDS", "PAYFLOW_DELIVERY_LEASE_SECONDS"])
@pytest.mark.parametrize("said", ["0", "-5", "1.5", "soon", "60 ", "9999999"])
def test_wrong_number_of_seconds_is_named(name: str, said: str) -> None:
    with pytest.raises(SettingError, match=f"{name} is '{said}'"):
        settings(name, said)


@pytest.mark.parametrize("said", [None, "", "REPORTED", "true", "1", "off"])
def test_batch_with_a_failure_is_kept_as_a_whole_unless_the_failures_are(said: str | None) -> None:
    assert not settings("PAYFLOW_PARTIAL_BATCHES", said).failures_are_kept


def test_no_stage_of_plain_chalice_says_that_failures_are_kept() -> None:
    assert not any(
        "PAYFLOW_PARTIAL_BATCHES" in stage["environment_variables"] for stage in STAGES.values()
    )

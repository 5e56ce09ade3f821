"""Each client is botocore's own for its service, made without a look at the others."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from chalicelib.aws import clients
from tests.conftest import REGION
from tests.engines import ROOT

CLIENTS = {
    "dynamodb": clients.dynamodb_client,
    "kms": clients.kms_client,
    "logs": clients.logs_client,
    "s3": clients.s3_client,
    "sqs": clients.sqs_client,
}
each_client = pytest.mark.parametrize(("service", "make"), CLIENTS.items())


@pytest.fixture(autouse=True)
def new_session() -> None:
    clients._session.cache_clear()


@each_client
def test_client_has_the_model_and_the_endpoint_of_its_service(
    service: Any, make: Callable[[str], Any]
) -> None:
    made, plain = make(REGION), boto3.client(service, region_name=REGION)
    assert made.meta.service_model.api_version == plain.meta.service_model.api_version
    assert made.meta.service_model.operation_names == plain.meta.service_model.operation_names
    assert made.meta.endpoint_url == plain.meta.endpoint_url


@each_client
def test_no_folder_of_another_service_is_read(
    service: str, make: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    read, listdir = set[str](), os.listdir

    def listed(path: str) -> list[str]:
        read.add(Path(path).name)
        return listdir(path)

    monkeypatch.setattr(os, "listdir", listed)
    make(REGION)
    assert read == {service}


def test_profile_of_a_role_asks_sts_for_its_credentials(tmp_path: Path) -> None:
    """In a process of its own: the suite hears which calls the functions make."""
    profiles = tmp_path / "config"
    profiles.write_text(
        "[profile admin]\nrole_arn = arn:aws:iam::123456789012:role/Admin\nsource_profile = base\n"
        "[profile base]\naws_access_key_id = test\naws_secret_access_key = test\n"
    )
    ask = "from chalicelib.aws import clients; clients.sqs_client('ca-central-1').list_queues()"
    ended = subprocess.run(
        [sys.executable, "-c", ask],
        cwd=ROOT,
        env={
            "AWS_CONFIG_FILE": str(profiles),
            "AWS_PROFILE": "admin",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1/sts",
        },
        check=False,
        capture_output=True,
        text=True,
    )
    assert 'Could not connect to the endpoint URL: "http://127.0.0.1:1/sts"' in ended.stderr

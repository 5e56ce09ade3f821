"""Each client is botocore's own for its service, made without a look at the others."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from chalicelib.aws import clients
from tests.conftest import REGION

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

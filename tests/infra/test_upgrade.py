"""An upgrade of a stage that an earlier version deployed, on the emulated CloudFormation."""

import copy
import json
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.payments.commands import ListPayments
from chalicelib.payments.repository import PaymentRepository
from infra.local import provision
from infra.ops.index_payments import index_payments
from tests.conftest import SESSION, TEST, Clock, as_version_0_3_wrote, command, payments_on
from tests.engines import wait_until

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

STAGE = "upgrade"
SEARCH = "search-index"


@pytest.fixture
def cloudformation(emulated_url: str) -> Iterator[Any]:
    with closing(SESSION.client("cloudformation", endpoint_url=emulated_url)) as client:
        yield client
        client.delete_stack(StackName=STAGE)


def of_version_0_3() -> dict[str, Any]:
    """Today's template without what version 0.4 added to it."""
    template = copy.deepcopy(provision.template())
    table = template["Resources"]["PaymentsTable"]["Properties"]
    *kept, index = sorted(
        table["GlobalSecondaryIndexes"], key=lambda one: one["IndexName"] == SEARCH
    )
    assert index["IndexName"] == SEARCH
    table["GlobalSecondaryIndexes"] = kept
    table["AttributeDefinitions"] = [
        one for one in table["AttributeDefinitions"] if one["AttributeName"] != "searchKey"
    ]
    for name in [name for name in template["Resources"] if name.startswith("Search")]:
        del template["Resources"][name]
    return template


def apply(cloudformation: Any, template: dict[str, Any], change: str) -> None:
    getattr(cloudformation, f"{change}_stack")(
        StackName=STAGE,
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": "Stage", "ParameterValue": STAGE}],
    )

    def status() -> Any:
        return cloudformation.describe_stacks(StackName=STAGE)["Stacks"][0]["StackStatus"]

    wait_until(lambda: not status().endswith("_IN_PROGRESS"), "the stack is changed")
    assert status() == f"{change.upper()}_COMPLETE"


def indexes(dynamodb: "DynamoDBClient") -> set[str]:
    table = dynamodb.describe_table(TableName=f"payflow-payments-{STAGE}")["Table"]
    return {one["IndexName"] for one in table["GlobalSecondaryIndexes"]}


def test_deployed_stage_gains_the_search_and_keeps_its_payments(
    cloudformation: Any, emulated_dynamodb: "DynamoDBClient", clock: Clock
) -> None:
    apply(cloudformation, of_version_0_3(), "create")
    before = indexes(emulated_dynamodb)
    repository = PaymentRepository(
        emulated_dynamodb,
        payments_table=f"payflow-payments-{STAGE}",
        idempotency_table=f"payflow-idempotency-{STAGE}",
    )
    payments = payments_on(repository, clock)
    created = payments.create(command(merchant="Before"), actor=TEST).resource_id
    as_version_0_3_wrote(repository)
    apply(cloudformation, provision.template(), "update")
    assert indexes(emulated_dynamodb) == before | {SEARCH}, "one index: AWS builds one an update"
    search = ListPayments(merchant="before")
    assert payments.list_page(search).payments == []
    assert index_payments(repository) == 2
    assert [payment.id for payment in payments.list_page(search).payments] == [created]

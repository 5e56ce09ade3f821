"""Every call of AWS that a function made in any test is granted.

Runs last: in `make test` other processes run the tests, and record the calls.
"""

import botocore.session
import pytest
from botocore.validate import ParamValidator

from tests import iam
from tests.conftest import HEARD_FROM_STACKS, HEARD_FROM_TESTS, IN_PARTS
from tests.hearing import Call, written_down
from tests.test_least_privilege import FUNCTIONS, STAGE, each_function

Heard = dict[str, list[Call]]
"""By stage."""


@pytest.fixture(scope="module")
def heard() -> Heard:
    folders = {STAGE: HEARD_FROM_TESTS, "local": HEARD_FROM_STACKS}
    return {stage: list(written_down(folder)) for stage, folder in folders.items()}


def test_calls_of_every_function_are_recorded_in_tests_and_stacks(heard: Heard) -> None:
    """Only in a run of all tests: a few tests do not run every function."""
    for calls in heard.values():
        functions = {call.function for call in calls}
        assert functions <= set(FUNCTIONS)
        assert functions == set(FUNCTIONS) or not IN_PARTS


def test_every_recorded_request_is_as_the_model_of_its_service_says(heard: Heard) -> None:
    """The clients of the app do not check that, to save the time."""
    session = botocore.session.get_session()
    models = {name: session.get_service_model(name) for name in ("dynamodb", "sqs")}
    for call in (call for calls in heard.values() for call in calls if call.service in models):
        shape = models[call.service].operation_model(call.operation).input_shape
        assert shape is not None
        report = ParamValidator().validate(call.params, shape)
        assert not report.has_errors(), f"{call.test}: {report.generate_report()}"


@each_function
def test_function_is_granted_every_recorded_call(function: str, heard: Heard) -> None:
    grants = iam.granted(iam.read_policy(function))
    for stage, calls in heard.items():
        lacking = iam.lacking(function, grants, iam.asked(calls, function, stage))
        assert not lacking, "\n".join(lacking)
        refused = iam.refused(calls, function, stage)
        assert not refused, "\n".join(refused)

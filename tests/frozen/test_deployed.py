"""The names that a deployed stack and its callers know stay what they were."""

import pytest

from tests.frozen import facts, product


@pytest.mark.parametrize("release", facts.releases("stacks"))
@pytest.mark.parametrize("name", product.templates())
def test_template_updates_the_stack_of_a_release(release: str, name: str) -> None:
    frozen = facts.read(release, "stacks")[name]
    assert not list(facts.missing(frozen, facts.stack(product.templates()[name])))


def test_the_app_reads_the_frozen_names_in_the_environment() -> None:
    assert facts.settings() == facts.newest("settings")


def test_the_document_is_the_frozen_one_but_for_its_prose() -> None:
    assert facts.without_prose(product.document()) == facts.newest("openapi")

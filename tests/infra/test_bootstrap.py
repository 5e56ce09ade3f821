"""Taking PayFlow into an account: what is refused with a sentence, and what is told at the end.

The whole of it runs in tests/stack/test_package.py.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from moto import mock_aws

from infra.deploy import bootstrap, deploy, package, publish, smoke
from infra.deploy.contents import PackageError
from infra.deploy.stacks import DeployError
from tests.infra.test_frontend_stack import SUBJECT

BACKEND = {
    "EndpointURL": "https://a1b2.execute-api.ca-central-1.amazonaws.com/api/",
    "RestAPIId": "a1b2",
}
FRONTEND = {
    "SiteOrigin": "https://d1234.cloudfront.net",
    "DistributionDomainName": "d1234.cloudfront.net",
}
OWN = {
    "SiteOrigin": "https://pay.example.com",
    "DistributionDomainName": "d1234.cloudfront.net",
    "ApiDomainName": "api.example.com",
    "ApiDomainTarget": "d-5678.execute-api.ca-central-1.amazonaws.com",
}


class NoStack:
    def __init__(self, *_: Any) -> None:
        pass

    def parameters(self) -> None:
        return None


class OfVersion01(NoStack):
    def parameters(self) -> Any:
        return {"Stage", "GitHubSubject"}


@pytest.mark.parametrize("stack", [NoStack, OfVersion01])
@pytest.mark.parametrize("chosen", [{}, {"GitHubSubject": SUBJECT}, {"GitHubRepositoryId": "1"}])
def test_frontend_stack_needs_to_know_whom_to_trust(
    monkeypatch: pytest.MonkeyPatch, stack: type, chosen: Mapping[str, str]
) -> None:
    monkeypatch.setattr(bootstrap, "Stack", stack)
    with pytest.raises(DeployError, match=r"SUBJECT=repo:.* REPOSITORY_ID="):
        bootstrap.bring_up_frontend("dev", chosen)


def test_subject_with_ids_says_the_repositorys() -> None:
    subject = "repo:acme@12345/pay.flow@67890:ref:refs/heads/main"
    assert bootstrap.github_parameters(subject) == {
        "GitHubRepositoryId": "67890",
        "GitHubWorkflow": "acme/pay.flow/.github/workflows/release.yml@refs/heads/main",
    }
    assert "GitHubRepositoryId" not in bootstrap.github_parameters(SUBJECT)


def test_stage_without_a_package_is_refused_before_any_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bootstrap, "Stack", NoStack)
    with pytest.raises(PackageError, match="there is dev, prod"):
        bootstrap.bootstrap("staging", {"GitHubSubject": SUBJECT}, "")


def test_failed_backend_ends_the_administrators_presence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []

    def bring_up(stage: str, chosen: Mapping[str, str]) -> dict[str, str]:
        said.append(chosen["Administrator"])
        return FRONTEND

    def deploy(*_: Any) -> dict[str, str]:
        raise DeployError("no")

    monkeypatch.setattr(bootstrap, "quota_advice", str)
    monkeypatch.setattr(bootstrap, "bring_up_frontend", bring_up)
    monkeypatch.setattr(bootstrap, "_deploy_backend", deploy)
    with pytest.raises(DeployError, match="no"):
        bootstrap.bootstrap("dev", {"GitHubSubject": SUBJECT}, "")
    present, away = said
    now = datetime.now(UTC)
    assert f"{now:%Y-%m-%dT%H:%M:%SZ}" < present < f"{now + timedelta(hours=3):%Y-%m-%dT%H:%M:%SZ}"
    assert away == "2000-01-01T00:00:00Z"


def test_dashboard_has_the_address_of_the_api() -> None:
    url = bootstrap.api_url_of(BACKEND, FRONTEND)
    assert url == "https://a1b2.execute-api.ca-central-1.amazonaws.com/api"
    assert bootstrap.api_parameters(BACKEND, url) == {
        "ApiId": "a1b2",
        "ApiOrigin": "https://a1b2.execute-api.ca-central-1.amazonaws.com",
    }
    assert bootstrap.api_url_of(BACKEND, OWN) == "https://api.example.com"


def test_bootstrap_prints_where_domains_must_point() -> None:
    assert bootstrap.dns_records(FRONTEND) == ""
    assert bootstrap.dns_records(OWN).splitlines()[2:] == [
        "  pay.example.com  CNAME  d1234.cloudfront.net",
        "  api.example.com  CNAME  d-5678.execute-api.ca-central-1.amazonaws.com",
    ]


@mock_aws
def test_account_keeps_its_provider_for_github() -> None:
    assert bootstrap.oidc_provider() == "create"
    iam = boto3.client("iam")
    iam.create_open_id_connect_provider(Url="https://gitlab.example", ThumbprintList=["0" * 40])
    assert bootstrap.oidc_provider() == "create"
    iam.create_open_id_connect_provider(
        Url="https://token.actions.githubusercontent.com", ThumbprintList=["0" * 40]
    )
    assert bootstrap.oidc_provider() == "present"


def test_page_is_uploaded_after_its_assets(tmp_path: Path) -> None:
    for file in ("index.html", "assets/b.js", "assets/a.css", "icon.svg"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    assert list(publish.in_order(tmp_path)) == [
        "assets/a.css",
        "assets/b.js",
        "icon.svg",
        "index.html",
    ]


def test_without_a_build_nothing_is_published(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="build the dashboard first"):
        list(publish.in_order(tmp_path))


@pytest.mark.parametrize(
    ("limit", "advises"), [(10, True), (99, True), (100, False), (1000, False)]
)
def test_account_that_runs_few_functions_at_once_is_told_which_quota_to_ask_for(
    limit: int, advises: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ca-central-1")
    settings = {"AccountLimit": {"ConcurrentExecutions": limit}}
    monkeypatch.setattr(BaseClient, "_make_api_call", lambda *_: settings)
    said = bootstrap.quota_advice()
    assert ("L-B99A9384" in said and f"at most {limit} functions" in said) == advises
    assert advises or said == ""


def test_address_at_execute_api_is_disabled_once_the_own_domain_has_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[Any] = []
    frontend = OWN | {
        "FunctionBoundary": "arn", "PackagesBucket": "bucket", "SiteBucket": "site",
        "DistributionId": "E1", "BackendDeployRole": "", "CloudFormationRole": "",
        "FrontendDeployRole": "",
    }  # fmt: skip

    def deployed(_: str, __: Path, chosen: Mapping[str, str], ___: str) -> dict[str, str]:
        done.append(chosen.get("ExecuteApiEndpoint"))
        return BACKEND

    monkeypatch.setenv("AWS_REGION", "ca-central-1")
    monkeypatch.setattr(bootstrap, "quota_advice", str)
    monkeypatch.setattr(bootstrap, "bring_up_frontend", lambda *_: frontend)
    monkeypatch.setattr(package, "build", lambda *_: None)
    monkeypatch.setattr(deploy, "deploy", deployed)
    monkeypatch.setattr(bootstrap, "build_dashboard", lambda _: Path())
    monkeypatch.setattr(publish, "publish", lambda *_: None)
    monkeypatch.setattr(smoke, "retried", lambda check: check())
    monkeypatch.setattr(smoke, "check_api", lambda url, _: done.append(url))
    monkeypatch.setattr(smoke, "check_site", lambda url, _: done.append(url))
    bootstrap.bootstrap("dev", {}, "")
    own = "https://api.example.com"
    assert done == [None, own, own, "disabled"], "never before the domain is seen to work"
    done.clear()
    for name in ("ApiDomainName", "ApiDomainTarget"):
        del frontend[name]
    bootstrap.bootstrap("dev", {}, "")
    assert [one for one in done if one in {"enabled", "disabled", None}] == ["enabled"]

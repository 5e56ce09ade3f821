"""`make bootstrap`: set PayFlow up in an AWS account, with an administrator's credentials.

    the frontend stack ──▶ the backend, for its origin ──▶ the dashboard, for the backend's URL
                       ──▶ the frontend stack again, which now knows the API ──▶ smoke tests

Run it again to apply changes, for example to upgrade the frontend stack: it leaves the rest as it
is. Afterwards GitHub Actions deploys each push to `main`. The command prints the variables that
GitHub needs.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import boto3

from infra import ROOT, cli
from infra.deploy import artifact, deploy, package, publish, smoke, yaml_text
from infra.deploy.contents import PackageError
from infra.deploy.stacks import DeployError, Stack, choose_region, parameter_values

TEMPLATE: Final = ROOT / "infra" / "frontend-stack.yaml"
OPTIONS: Final = {
    "--subject": "GitHubSubject",
    "--repository-id": "GitHubRepositoryId",
    "--domain": "DomainName",
    "--certificate": "CertificateArn",
    "--api-domain": "ApiDomainName",
    "--api-certificate": "ApiCertificateArn",
    "--flood-limit": "FloodLimit",
}
"""The template's parameters that an administrator chooses."""

_GITHUB: Final = "token.actions.githubusercontent.com"
_PROVIDER: Final = "GitHubOidcProvider"

_ENOUGH_FUNCTIONS: Final = 100
"""Run at once: the two queues' functions at their most, and room for a burst of requests."""

# CloudFormation keeps using the role of GitHub's deploys, whoever calls it.
_PRESENCE: Final = timedelta(hours=2)
_AWAY: Final = "2000-01-01T00:00:00Z"


def main(arguments: list[str]) -> None:
    parser = cli.parser("bootstrap", __doc__)
    template = yaml_text.read(TEMPLATE.read_text())
    for name, parameter in OPTIONS.items():
        asked_for = template["Parameters"][parameter]
        form = cli.matching(asked_for["AllowedPattern"], asked_for["ConstraintDescription"])
        parser.add_argument(name, dest=parameter, type=form, help=asked_for["Description"])
    parser.add_argument("--email", type=cli.email, help="the address that gets the alarms")
    asked = parser.parse_args(arguments)
    wanted = {parameter: getattr(asked, parameter) for parameter in OPTIONS.values()}
    chosen = {name: value for name, value in wanted.items() if value}
    with cli.exits("Not finished", DeployError, PackageError, smoke.SmokeError):
        choose_region()
        print(bootstrap(asked.stage, chosen, asked.email))


def bootstrap(stage: str, chosen: Mapping[str, str], email: str | None) -> str:
    """Do every step; return the instructions for the next. A second run continues a failed one.

    Raises DeployError, PackageError, smoke.SmokeError or boto3 errors.
    """
    package.check_stage(stage)
    print(quota_advice(), end="")
    _step("1/6  Create the frontend stack: bucket, CloudFront, roles (takes some minutes)")
    until = f"{datetime.now(UTC) + _PRESENCE:%Y-%m-%dT%H:%M:%SZ}"
    frontend = bring_up_frontend(stage, {**chosen, "Administrator": until})
    _step("2/6  Package and deploy the backend")
    try:
        backend = _deploy_backend(stage, frontend, email)
    finally:
        bring_up_frontend(stage, {"Administrator": _AWAY})
    api_url = api_url_of(backend, frontend)
    _step("3/6  Build the dashboard")
    built = build_dashboard(api_url)
    _step("4/6  Publish the dashboard")
    publish.publish(built, frontend["SiteBucket"], frontend["DistributionId"])
    _step("5/6  Tell the frontend stack the API's id and URL")
    frontend = bring_up_frontend(stage, api_parameters(backend, api_url))
    print(dns_records(frontend), end="")
    _step("6/6  Check the API and the dashboard")
    smoke.retried(lambda: smoke.check_api(api_url, frontend["SiteOrigin"]))
    smoke.retried(lambda: smoke.check_site(api_url, frontend["SiteOrigin"]))
    if "ApiDomainName" in frontend:
        print("The API answers at its own domain: disabling its address at execute-api")
        _deploy(stage, frontend, {"ExecuteApiEndpoint": "disabled"})
    return next_steps(stage, frontend, api_url)


def bring_up_frontend(stage: str, chosen: Mapping[str, str]) -> dict[str, str]:
    """Create or update the stack; return its outputs. Unchosen parameters keep their values."""
    body = TEMPLATE.read_text()
    template: Any = yaml_text.read(body)
    stack = Stack(f"payflow-frontend-{stage}")
    previous = stack.parameters() or set()
    wanted = {"Stage": stage, **github_parameters(chosen.get("GitHubSubject", "")), **chosen}
    if not {"GitHubSubject", "GitHubRepositoryId", "GitHubWorkflow"} <= previous | wanted.keys():
        raise DeployError(
            "The roles of GitHub's deploys need to know whom they trust: "
            "SUBJECT=repo:<owner>/<repository>:ref:refs/heads/main REPOSITORY_ID=<number>. The "
            "documentation on deploying says how to find yours."
        )
    if _PROVIDER not in previous:
        wanted[_PROVIDER] = oidc_provider()
    values = parameter_values(template, wanted, previous)
    stack.change(TemplateBody=body, Parameters=values, Capabilities=["CAPABILITY_IAM"])
    return stack.outputs()


def github_parameters(subject: str) -> dict[str, str]:
    """Return what the subject of GitHub's tokens says of their workflow and their repository."""
    parts = re.match("repo:([^@/]+)(?:@[0-9]+)?/([^@:]+)(?:@([0-9]+))?:", subject)
    if parts is None:
        return {}
    owner, name, repository_id = parts.groups()
    workflow = {"GitHubWorkflow": f"{owner}/{name}/.github/workflows/release.yml@refs/heads/main"}
    return workflow | ({"GitHubRepositoryId": repository_id} if repository_id else {})


def api_url_of(backend: Mapping[str, str], frontend: Mapping[str, str]) -> str:
    """Return the API's URL, up to `/v1`: on its own domain if it has one."""
    domain = frontend.get("ApiDomainName")
    return f"https://{domain}" if domain else backend["EndpointURL"].rstrip("/")


def api_parameters(backend: Mapping[str, str], api_url: str) -> dict[str, str]:
    """Return the frontend stack's parameters that name the API."""
    parts = urlsplit(api_url)
    return {"ApiId": backend["RestAPIId"], "ApiOrigin": f"{parts.scheme}://{parts.netloc}"}


def dns_records(frontend: Mapping[str, str]) -> str:
    """Return the DNS records that the domains' owner must add; empty without own domains."""
    site_name = urlsplit(frontend["SiteOrigin"]).netloc
    targets = {
        site_name: frontend["DistributionDomainName"],
        frontend.get("ApiDomainName", ""): frontend.get("ApiDomainTarget", ""),
    }
    lines = [f"  {name}  CNAME  {target}\n" for name, target in targets.items() if name != target]
    return "".join(["\nAdd to your DNS:\n", *lines]) if lines else ""


def quota_advice() -> str:
    """Return what to ask AWS for if this account runs few functions at once; else nothing."""
    limit = boto3.client("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    if limit >= _ENOUGH_FUNCTIONS:
        return ""
    return (
        f"This account runs at most {limit} functions at once, and a burst of payments needs more: "
        "ask for 1,000 in Service Quotas, AWS Lambda, Concurrent executions (L-B99A9384).\n"
    )


def _deploy_backend(stage: str, frontend: Mapping[str, str], email: str | None) -> dict[str, str]:
    package.build(stage, artifact.folder(stage))
    chosen = {
        "AllowedOrigin": frontend["SiteOrigin"],
        "PermissionsBoundary": frontend["FunctionBoundary"],
        **({"AlarmEmail": email} if email else {}),
        # One with a domain of its own keeps what it has: disabled, once the domain is seen to work.
        **({} if "ApiDomainName" in frontend else {"ExecuteApiEndpoint": "enabled"}),
    }
    return _deploy(stage, frontend, chosen)


def _deploy(stage: str, frontend: Mapping[str, str], chosen: Mapping[str, str]) -> dict[str, str]:
    return deploy.deploy(stage, artifact.folder(stage), chosen, frontend["PackagesBucket"])


def build_dashboard(api_url: str) -> Path:
    """Build the dashboard; return the folder. Raises DeployError."""
    folder = ROOT / "frontend"
    env = {**os.environ, "VITE_API_URL": api_url}
    for command in (["npm", "ci"], ["npm", "run", "build"]):
        if subprocess.run(command, cwd=folder, env=env, check=False).returncode != 0:  # noqa: S603
            raise DeployError("The dashboard was not built; npm's output is above.")
    return folder / "dist"


def oidc_provider() -> str:
    """Return `present` if the account already trusts GitHub's tokens, else `create`."""
    known = boto3.client("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"]
    return "present" if any(one["Arn"].endswith(f"/{_GITHUB}") for one in known) else "create"


def next_steps(stage: str, frontend: Mapping[str, str], api_url: str) -> str:
    variables = {
        "AWS_REGION": os.environ["AWS_REGION"],
        "PAYFLOW_STAGE": stage,
        "PAYFLOW_API_URL": api_url,
        "PAYFLOW_SITE_URL": frontend["SiteOrigin"],
        "PAYFLOW_BACKEND_ROLE": frontend["BackendDeployRole"],
        "PAYFLOW_CLOUDFORMATION_ROLE": frontend["CloudFormationRole"],
        "PAYFLOW_PACKAGES_BUCKET": frontend["PackagesBucket"],
        "PAYFLOW_FRONTEND_ROLE": frontend["FrontendDeployRole"],
        "PAYFLOW_SITE_BUCKET": frontend["SiteBucket"],
        "PAYFLOW_DISTRIBUTION": frontend["DistributionId"],
    }
    return "\n".join(
        [
            "",
            f"API        {api_url}",
            f"Dashboard  {frontend['SiteOrigin']}",
            "",
            "Create a first key to sign in with:",
            f"  make key STAGE={stage} NAME=operator SCOPES=admin",
            "",
            "To have GitHub Actions deploy pushes to main, set these variables (none is a secret):",
            *(f"  gh variable set {name} --body '{value}'" for name, value in variables.items()),
        ]
    )


def _step(text: str) -> None:
    print(f"\n{text}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

"""Take PayFlow into an AWS account: everything once, in order, with an administrator's credentials.

    the frontend stack ──▶ the backend, for its origin ──▶ the dashboard, for the backend's address
                       ──▶ the frontend stack again, which now knows the API ──▶ a look at it all

Run again it changes what has changed, and nothing else: this is also how the frontend stack is
upgraded. From here on GitHub Actions deploys what is pushed to `main`; what it must be told is
printed at the end.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
import yaml
from botocore.exceptions import BotoCoreError, ClientError

from infra import ROOT
from infra.deploy import artifact, deploy, package, publish, smoke
from infra.deploy.package import PackageError
from infra.deploy.stacks import DeployError, Stack, choose_region, parameter_values

TEMPLATE: Final = ROOT / "infra" / "frontend-stack.yaml"
_GITHUB: Final = "token.actions.githubusercontent.com"
_PROVIDER: Final = "GitHubOidcProvider"

# CloudFormation keeps to the role that GitHub's deploys gave it, whoever asks.
_PRESENT: Final = {"Administrator": "present"}
_AWAY: Final = {"Administrator": "away"}


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="make bootstrap", description=__doc__)
    parser.add_argument("stage")
    parser.add_argument("--subject", default="", help="repo:<owner>/<repo>:ref:refs/heads/main")
    parser.add_argument("--email", default="", help="who hears of alarms")
    parser.add_argument("--domain", default="", help="the dashboard's own")
    parser.add_argument("--certificate", default="", help="for it, in us-east-1")
    parser.add_argument("--api-domain", default="", help="the API's own")
    parser.add_argument("--api-certificate", default="", help="for it, in the stack's region")
    asked = parser.parse_args(arguments)
    wanted = {
        "GitHubSubject": asked.subject,
        "DomainName": asked.domain,
        "CertificateArn": asked.certificate,
        "ApiDomainName": asked.api_domain,
        "ApiCertificateArn": asked.api_certificate,
    }
    chosen = {name: value for name, value in wanted.items() if value}
    try:
        choose_region()
        print(bootstrap(asked.stage, chosen, asked.email))
    except (DeployError, PackageError) as error:
        sys.exit(f"Not done: {error}")
    except smoke.Unwell as error:
        sys.exit(f"Deployed, but not well: {error}\nOnce that is mended, run the same again.")
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"Not done; AWS says: {error}")


def bootstrap(stage: str, chosen: Mapping[str, str], email: str) -> str:
    """All of it; returns what there is to know and to do. Raises DeployError, PackageError,
    smoke.Unwell and what boto3 raises; run again, it goes on where it broke off.
    """
    package.check_stage(stage)
    _step("1/6  the frontend stack: bucket, CloudFront, roles (CloudFront takes some minutes)")
    frontend = bring_up_frontend(stage, {**chosen, **_PRESENT})
    _step("2/6  the backend: package and deploy")
    try:
        backend = _deploy_backend(stage, frontend, email)
    finally:
        bring_up_frontend(stage, _AWAY)
    api_url = address_of(backend, frontend)
    _step("3/6  the dashboard: build")
    built = build_dashboard(api_url)
    _step("4/6  the dashboard: publish")
    publish.publish(built, frontend["SiteBucket"], frontend["DistributionId"])
    _step("5/6  the frontend stack again: the API that is deployed to, and talked to")
    frontend = bring_up_frontend(stage, what_is_known_of_the_api(backend, api_url))
    print(where_names_must_point(frontend), end="")
    _step("6/6  a look at it")
    smoke.in_time(lambda: smoke.check_api(api_url, frontend["SiteOrigin"]))
    smoke.in_time(lambda: smoke.check_site(api_url, frontend["SiteOrigin"]))
    return what_next(stage, frontend, api_url)


def bring_up_frontend(stage: str, chosen: Mapping[str, str]) -> dict[str, str]:
    """Create or update the stack; returns its outputs. What is not `chosen` stays as it is."""
    body = TEMPLATE.read_text()
    template: Any = yaml.safe_load(body)
    stack = Stack(f"payflow-frontend-{stage}")
    previous = stack.parameters() or set()
    if not previous and "GitHubSubject" not in chosen:
        raise DeployError(
            "a new stack needs SUBJECT=repo:<owner>/<repository>:ref:refs/heads/main, the one "
            "that GitHub's token will name; README.md says how to read yours"
        )
    wanted = {"Stage": stage, **chosen}
    if _PROVIDER not in previous:
        wanted[_PROVIDER] = oidc_provider()
    values = parameter_values(template, wanted, previous)
    stack.change(TemplateBody=body, Parameters=values, Capabilities=["CAPABILITY_IAM"])
    return stack.outputs()


def address_of(backend: Mapping[str, str], frontend: Mapping[str, str]) -> str:
    """The API's address, up to the `/v1`: at its own domain once that is there."""
    domain = frontend.get("ApiDomainName")
    return f"https://{domain}" if domain else backend["EndpointURL"].rstrip("/")


def what_is_known_of_the_api(backend: Mapping[str, str], api_url: str) -> dict[str, str]:
    """For the frontend stack's parameters."""
    parts = urlsplit(api_url)
    return {"ApiId": backend["RestAPIId"], "ApiOrigin": f"{parts.scheme}://{parts.netloc}"}


def where_names_must_point(frontend: Mapping[str, str]) -> str:
    """What the owner of the domains has to do in their DNS; nothing where there are none."""
    site_name = urlsplit(frontend["SiteOrigin"]).netloc
    targets = {
        site_name: frontend["DistributionDomainName"],
        frontend.get("ApiDomainName", ""): frontend.get("ApiDomainTarget", ""),
    }
    lines = [f"  {name}  CNAME  {target}\n" for name, target in targets.items() if name != target]
    return "".join(["\nIn your DNS:\n", *lines]) if lines else ""


def _deploy_backend(stage: str, frontend: Mapping[str, str], email: str) -> dict[str, str]:
    folder = artifact.folder(stage)
    package.build(stage, folder)
    chosen = {
        "AllowedOrigin": frontend["SiteOrigin"],
        "PermissionsBoundary": frontend["FunctionBoundary"],
        **({"AlarmEmail": email} if email else {}),
    }
    return deploy.deploy(stage, folder, chosen, frontend["PackagesBucket"])


def build_dashboard(api_url: str) -> Path:
    """Raises DeployError."""
    folder = ROOT / "frontend"
    env = {**os.environ, "VITE_API_URL": api_url}
    for command in (["npm", "ci"], ["npm", "run", "build"]):
        if subprocess.run(command, cwd=folder, env=env, check=False).returncode != 0:  # noqa: S603
            raise DeployError("the dashboard was not built; what went wrong stands above")
    return folder / "dist"


def oidc_provider() -> str:
    """Whether this account knows GitHub already."""
    known = boto3.client("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"]
    return "present" if any(one["Arn"].endswith(f"/{_GITHUB}") for one in known) else "create"


def what_next(stage: str, frontend: Mapping[str, str], api_url: str) -> str:
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
            f"The API is at        {api_url}",
            f"The dashboard is at  {frontend['SiteOrigin']}",
            "",
            "A first key, to sign in with:",
            f"  make key STAGE={stage} NAME=operator SCOPES=admin",
            "",
            "For GitHub Actions to deploy what is pushed to main (none of it is a secret):",
            *(f"  gh variable set {name} --body '{value}'" for name, value in variables.items()),
        ]
    )


def _step(what: str) -> None:
    print(f"\n{what}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

"""What infra/frontend-stack.yaml promises: the dashboard is private, and who deploys can do that
and nothing else. AWS is not asked: tests/policies.py judges as IAM does.
"""

import json
import re
from typing import Any

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from infra.deploy import bootstrap, yaml_text
from infra.deploy.bootstrap import TEMPLATE
from tests import hearing, iam
from tests.conftest import payflow
from tests.policies import Context, Rights, Template, rights_of, trusts
from tests.test_least_privilege import FUNCTIONS

BODY: dict[str, Any] = yaml_text.read(TEMPLATE.read_text())
SUBJECT = "repo:acme/payflow:ref:refs/heads/main"
GITHUB = "token.actions.githubusercontent.com"
DEPLOY_ROLES = ["BackendDeployRole", "FrontendDeployRole"]
API_ID = "a1b2c3d4e5"
REPOSITORY_ID = "67890"
GITHUBS = {
    "GitHubSubject": SUBJECT,
    "GitHubRepositoryId": REPOSITORY_ID,
    **bootstrap.github_parameters(SUBJECT),
}
STACK = Template(BODY, Stage="dev", ApiId=API_ID, **GITHUBS)
ACCOUNT = "ca-central-1:123456789012"
PACKAGES, SITE, BOUNDARY = "<PackagesBucket.Arn>", "<SiteBucket.Arn>", "<FunctionBoundary>"
ROLE = "arn:aws:iam::123456789012:role/payflow-dev-ApiHandlerRole-1A2B3C"
OWN_ROLE = "arn:aws:iam::123456789012:role/payflow-frontend-dev-BackendDeployRole-1A2B3C"
LOGS_ROLE = "arn:aws:iam::123456789012:role/payflow-dev-ApiGatewayLogs-1A2B3C"
TABLE = f"arn:aws:dynamodb:{ACCOUNT}:table/payflow-payments-dev"
FUNCTION = f"arn:aws:lambda:{ACCOUNT}:function:payflow-dev"
MAPPING = f"arn:aws:lambda:{ACCOUNT}:event-source-mapping:8b578b29-fc81-47f1-8b65-27f832bf7f61"
RULE = f"arn:aws:events:{ACCOUNT}:rule/payflow-dev-SweeperEvent-1A2B3C"
SECRETS_KEY = f"arn:aws:kms:{ACCOUNT}:key/one"
ITS_TAGS: Context = {"aws:ResourceTag/Project": "payflow", "aws:ResourceTag/Stage": "dev"}
ON_THE_KEY = (
    "CreateAlias", "CreateGrant", "CreateKey", "Decrypt", "DeleteAlias", "DisableKey", "Encrypt",
    "GenerateDataKey", "PutKeyPolicy", "ReEncryptFrom", "ScheduleKeyDeletion", "UpdateAlias",
)  # fmt: skip
QUEUE = f"arn:aws:sqs:{ACCOUNT}:payflow-webhooks-dev"
EXPORTS = "arn:aws:s3:::payflow-exports-dev-123456789012"
TOPIC = f"arn:aws:sns:{ACCOUNT}:payflow-alarms-dev"
ALARM = f"arn:aws:cloudwatch:{ACCOUNT}:alarm:payflow-dev-dead-letters"
API_LOG = f"arn:aws:logs:{ACCOUNT}:log-group:/aws/lambda/payflow-dev"
LOGS = f"{API_LOG}:log-stream:one"
API = f"arn:aws:apigateway:ca-central-1::/restapis/{API_ID}"
BACKEND = f"arn:aws:cloudformation:{ACCOUNT}:stack/payflow-dev/0a1b2c3d"
ADMINISTRATORS = f"arn:aws:cloudformation:{ACCOUNT}:stack/payflow-frontend-dev/0a1b2c3d"

cloudformation = rights_of(STACK.resource("CloudFormationRole"))
backend = rights_of(STACK.resource("BackendDeployRole"))
frontend = rights_of(STACK.resource("FrontendDeployRole"))
boundary = STACK.resource("FunctionBoundary")["PolicyDocument"]["Statement"]


# The dashboard


@pytest.mark.parametrize("bucket", ["SiteBucket", "PackagesBucket"])
def test_bucket_is_private_encrypted_versioned_and_retained(bucket: str) -> None:
    properties = STACK.resource(bucket)
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(properties["PublicAccessBlockConfiguration"]) == 4
    assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    (encryption,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert BODY["Resources"][bucket]["DeletionPolicy"] == "Retain"


@pytest.mark.parametrize("bucket", ["SiteBucket", "PackagesBucket"])
def test_bucket_refuses_requests_without_tls(bucket: str) -> None:
    policy = STACK.resource(f"{bucket}Policy")["PolicyDocument"]
    (denial,) = [one for one in policy["Statement"] if one["Effect"] == "Deny"]
    assert denial["Principal"] == "*"
    assert denial["Action"] == "s3:*"
    assert denial["Resource"] == [f"<{bucket}.Arn>", f"<{bucket}.Arn>/*"]
    assert denial["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_only_this_distribution_reads_the_bucket() -> None:
    policy = STACK.resource("SiteBucketPolicy")["PolicyDocument"]
    (grant,) = [one for one in policy["Statement"] if one["Effect"] == "Allow"]
    assert grant["Principal"] == {"Service": "cloudfront.amazonaws.com"}
    assert grant["Action"] == "s3:GetObject"
    distribution = "arn:aws:cloudfront::123456789012:distribution/<Distribution>"
    assert grant["Condition"] == {"StringEquals": {"AWS:SourceArn": distribution}}
    (origin,) = STACK.resource("Distribution")["DistributionConfig"]["Origins"]
    assert origin["OriginAccessControlId"] == "<OriginAccess.Id>"
    access = STACK.resource("OriginAccess")["OriginAccessControlConfig"]
    assert (access["SigningBehavior"], access["SigningProtocol"]) == ("always", "sigv4")


def test_dashboard_answers_the_address_of_any_page() -> None:
    answers = STACK.resource("Distribution")["DistributionConfig"]["CustomErrorResponses"]
    assert {answer["ErrorCode"] for answer in answers} == {403, 404}
    assert {(one["ResponseCode"], one["ResponsePagePath"]) for one in answers} == {
        (200, "/index.html")
    }


def test_dashboard_is_served_by_https_compressed_in_every_version() -> None:
    config = STACK.resource("Distribution")["DistributionConfig"]
    assert config["HttpVersion"] == "http2and3"
    assert config["DefaultCacheBehavior"]["ViewerProtocolPolicy"] == "redirect-to-https"
    assert config["DefaultCacheBehavior"]["Compress"] is True
    assert config["DefaultCacheBehavior"]["AllowedMethods"] == ["GET", "HEAD"]
    assert config["DefaultCacheBehavior"]["ResponseHeadersPolicyId"] == "<ResponseHeaders>"


def policy_of(stack: Template) -> dict[str, list[str]]:
    headers = stack.resource("ResponseHeaders")["ResponseHeadersPolicyConfig"]
    text = headers["SecurityHeadersConfig"]["ContentSecurityPolicy"]["ContentSecurityPolicy"]
    directives = [directive.split() for directive in text.split(";")]
    return {name: sources for name, *sources in directives}


def test_dashboard_may_call_only_the_api() -> None:
    api = "https://a1b2c3d4e5.execute-api.ca-central-1.amazonaws.com"
    assert policy_of(Template(BODY, ApiOrigin=api))["connect-src"] == [api]
    assert policy_of(Template(BODY))["connect-src"] == ["'none'"]


def test_dashboard_runs_only_its_own_scripts_and_is_never_framed() -> None:
    policy = policy_of(STACK)
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == policy["style-src"] == ["'self'"]
    assert policy["require-trusted-types-for"] == ["'script'"]
    for directive in ("base-uri", "form-action", "frame-ancestors", "trusted-types"):
        assert policy[directive] == ["'none'"]
    assert "unsafe" not in json.dumps(policy)
    headers = STACK.resource("ResponseHeaders")["ResponseHeadersPolicyConfig"]
    security = headers["SecurityHeadersConfig"]
    assert security["FrameOptions"]["FrameOption"] == "DENY"
    assert security["ContentTypeOptions"] == {"Override": True}
    assert security["ReferrerPolicy"]["ReferrerPolicy"] == "no-referrer"
    assert security["StrictTransportSecurity"]["AccessControlMaxAgeSec"] >= 365 * 24 * 60 * 60


def test_domains_of_ones_own_are_optional() -> None:
    own = Template(BODY, DomainName="pay.example.com", CertificateArn="arn", ApiId=API_ID)
    config = own.resource("Distribution")["DistributionConfig"]
    assert config["Aliases"] == ["pay.example.com"]
    assert config["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1.2_2021"
    assert "Aliases" not in STACK.resource("Distribution")["DistributionConfig"]
    assert not STACK.holds("HasApiDomain")
    assert not Template(BODY, ApiCertificateArn="arn").holds("HasApiDomain")
    assert Template(BODY, ApiCertificateArn="arn", ApiId=API_ID).holds("HasApiDomain")


def test_a_limit_of_the_requests_of_an_address_is_optional_and_waits_for_the_api() -> None:
    assert not STACK.holds("HasFloodLimit")
    assert not Template(BODY, FloodLimit="3000").holds("HasFloodLimit")
    limited = Template(BODY, Stage="dev", FloodLimit="3000", ApiId=API_ID)
    assert limited.holds("HasFloodLimit")
    (rule,) = limited.resource("FloodRule")["Rules"]
    assert rule["Action"] == {"Block": {}}
    assert rule["Statement"]["RateBasedStatement"]["Limit"] == "3000"
    stage = limited.resource("FloodRuleOfTheApi")["ResourceArn"]
    assert stage.endswith(f"::/restapis/{API_ID}/stages/api")
    for name in ("FloodRule", "FloodRuleOfTheApi"):
        assert BODY["Resources"][name]["Condition"] == "HasFloodLimit"


# Who is let in

WORKFLOW = "acme/payflow/.github/workflows/release.yml@refs/heads/main"
THE_MAIN_BRANCH = {
    "aud": "sts.amazonaws.com",
    "sub": SUBJECT,
    "ref": "refs/heads/main",
    "repository_id": REPOSITORY_ID,
    "job_workflow_ref": WORKFLOW,
}


@pytest.mark.parametrize("role", DEPLOY_ROLES)
def test_the_main_branch_of_this_repository_deploys_for_an_hour(role: str) -> None:
    properties = STACK.resource(role)
    assert trusts(properties, GITHUB, THE_MAIN_BRANCH)
    assert properties["MaxSessionDuration"] == 3600


@pytest.mark.parametrize("role", DEPLOY_ROLES)
@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "repo:acme/payflow:ref:refs/heads/develop"},
        {"sub": "repo:acme/payflow:ref:refs/heads/main2"},
        {"sub": "repo:acme/payflow:ref:refs/tags/main"},
        {"sub": "repo:acme/payflow:pull_request"},
        {"sub": "repo:acme/payflow:environment:production"},
        {"sub": "repo:acme/payflow2:ref:refs/heads/main"},
        {"sub": "repo:mallory/payflow:ref:refs/heads/main"},
        {"sub": "repo:acme@1/payflow@2:ref:refs/heads/main"},
        {"aud": "https://github.com/acme"},
        {"ref": "refs/heads/develop"},
        {"repository_id": "67891"},
        # Before 0.2.0 this was the workflow, and a run of it can be repeated.
        {"job_workflow_ref": "acme/payflow/.github/workflows/deploy.yml@refs/heads/main"},
        {"job_workflow_ref": "acme/payflow/.github/workflows/release.yml@refs/heads/develop"},
        {"job_workflow_ref": "mallory/payflow/.github/workflows/release.yml@refs/heads/main"},
    ],
)
def test_no_other_token_of_github_is_accepted(role: str, claims: dict[str, str]) -> None:
    assert not trusts(STACK.resource(role), GITHUB, THE_MAIN_BRANCH | claims)


@pytest.mark.parametrize("role", DEPLOY_ROLES)
def test_deploy_role_is_trusted_by_one_exact_subject(role: str) -> None:
    (statement,) = STACK.resource(role)["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"].keys() == {"Federated"}
    assert statement["Condition"].keys() == {"StringEquals"}
    for claim in THE_MAIN_BRANCH:
        token = {name: value for name, value in THE_MAIN_BRANCH.items() if name != claim}
        assert not trusts(STACK.resource(role), GITHUB, token), f"a token without {claim}"


@pytest.mark.parametrize("role", DEPLOY_ROLES)
def test_environment_with_reviewers_deploys_the_main_branch_only(role: str) -> None:
    subject = "repo:acme/payflow:environment:prod"
    behind_it = Template(BODY, Stage="dev", ApiId=API_ID, **GITHUBS | {"GitHubSubject": subject})
    token = THE_MAIN_BRANCH | {"sub": subject}
    assert trusts(behind_it.resource(role), GITHUB, token)
    assert not trusts(behind_it.resource(role), GITHUB, THE_MAIN_BRANCH)
    assert not trusts(behind_it.resource(role), GITHUB, token | {"ref": "refs/heads/develop"})


@pytest.mark.parametrize(
    ("subject", "is_one"),
    [
        (SUBJECT, True),
        ("repo:acme@12345/payflow@67890:ref:refs/heads/main", True),
        ("repo:mona_acme/payflow:ref:refs/heads/main", True),
        ("repo:acme/payflow:environment:prod", True),
        ("repo:acme/payflow:environment:*", False),
        ("repo:acme/*:ref:refs/heads/main", False),
        ("repo:acme/payflow:*", False),
        ("repo:acme/payflow:ref:refs/heads/develop", False),
        ("repo:acme/payflow:pull_request", False),
    ],
)
def test_subject_is_the_branch_or_an_environment_without_a_wildcard(
    subject: str, is_one: bool
) -> None:
    pattern = BODY["Parameters"]["GitHubSubject"]["AllowedPattern"]
    assert (re.fullmatch(pattern, subject) is not None) == is_one
    assert "Default" not in BODY["Parameters"]["GitHubSubject"]


def test_only_cloudformation_assumes_the_role_that_changes_the_backend() -> None:
    (statement,) = STACK.resource("CloudFormationRole")["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "cloudformation.amazonaws.com"}


# What a deploy can do


def test_dashboard_role_only_adds_and_publishes_builds() -> None:
    distribution = "arn:aws:cloudfront::123456789012:distribution/<Distribution>"
    assert frontend.allow("s3:PutObject", f"{SITE}/index.html")
    assert frontend.allow("cloudfront:CreateInvalidation", distribution)
    assert frontend.actions() == {
        "s3:PutObject", "cloudfront:CreateInvalidation", "cloudfront:GetInvalidation",
    }  # fmt: skip
    assert not frontend.allow("s3:PutObject", f"{PACKAGES}/code.zip")


def test_backend_role_changes_one_stack_through_cloudformations_role() -> None:
    own = {"cloudformation:ChangeSetName": "payflow-pipeline-0a1b"}
    by_role = own | {"cloudformation:RoleArn": "<CloudFormationRole.Arn>"}
    assert backend.allow("cloudformation:CreateChangeSet", BACKEND, by_role)
    assert not backend.allow("cloudformation:CreateChangeSet", BACKEND)
    assert not backend.allow(
        "cloudformation:CreateChangeSet", BACKEND, own | {"cloudformation:RoleArn": OWN_ROLE}
    )
    administrators = {"cloudformation:ChangeSetName": "payflow-administrator-0a1b"}
    assert not backend.allow("cloudformation:CreateChangeSet", BACKEND, by_role | administrators)
    for action in ("ExecuteChangeSet", "DescribeChangeSet", "DeleteChangeSet"):
        assert backend.allow(f"cloudformation:{action}", BACKEND, own)
        assert not backend.allow(f"cloudformation:{action}", BACKEND, administrators)
    for stack in ("payflow-prod", "payflow-backend-dev", "another"):
        arn = f"arn:aws:cloudformation:{ACCOUNT}:stack/{stack}/0a1b2c3d"
        assert not backend.allow("cloudformation:CreateChangeSet", arn, by_role)
    to_cloudformation = {"iam:PassedToService": "cloudformation.amazonaws.com"}
    assert backend.allow("iam:PassRole", "<CloudFormationRole.Arn>", to_cloudformation)
    assert not backend.allow("iam:PassRole", "<CloudFormationRole.Arn>")
    assert not backend.allow("iam:PassRole", ROLE, to_cloudformation)


def test_backend_role_changes_no_resource_directly() -> None:
    services = {action.partition(":")[0] for action in backend.actions()}
    assert services == {"cloudformation", "iam", "s3"}
    assert {one for one in backend.actions() if one.startswith("iam:")} == {"iam:PassRole"}
    forbidden = {"cloudformation:DeleteStack", "cloudformation:UpdateStack"}
    assert backend.actions().isdisjoint(forbidden | {"cloudformation:SetStackPolicy"})


IN_THE_BOUNDARY = {"iam:PermissionsBoundary": BOUNDARY}
ON_ITEMS = [
    "BatchGetItem", "BatchWriteItem", "ConditionCheckItem", "DeleteItem", "GetItem",
    "PartiQLSelect", "PutItem", "Query", "Scan", "UpdateItem",
]  # fmt: skip
OUTSIDE: list[tuple[str, str, Context]] = [
    # Its own rights.
    ("iam:CreateRole", ROLE, {}),
    ("iam:CreateRole", ROLE, {"iam:PermissionsBoundary": "arn:aws:iam::aws:policy/ReadOnlyAccess"}),
    ("iam:CreateRole", "arn:aws:iam::123456789012:role/another", IN_THE_BOUNDARY),
    ("iam:PutRolePolicy", ROLE, {}),
    ("iam:PutRolePolicy", OWN_ROLE, {}),
    ("iam:PutRolePolicy", OWN_ROLE, IN_THE_BOUNDARY),
    ("iam:AttachRolePolicy", ROLE, IN_THE_BOUNDARY),
    ("iam:AttachRolePolicy", OWN_ROLE, {}),
    ("iam:DeleteRolePermissionsBoundary", ROLE, IN_THE_BOUNDARY),
    ("iam:PutRolePermissionsBoundary", ROLE, {}),
    ("iam:UpdateAssumeRolePolicy", ROLE, {}),
    ("iam:UpdateAssumeRolePolicy", OWN_ROLE, {}),
    ("iam:DeleteRole", OWN_ROLE, {}),
    ("iam:PassRole", OWN_ROLE, {"iam:PassedToService": "lambda.amazonaws.com"}),
    ("iam:PassRole", ROLE, {"iam:PassedToService": "apigateway.amazonaws.com"}),
    ("iam:DeleteRole", LOGS_ROLE, {}),
    ("iam:PutRolePermissionsBoundary", LOGS_ROLE, IN_THE_BOUNDARY),
    ("iam:PutRolePolicy", LOGS_ROLE, IN_THE_BOUNDARY),
    ("iam:PassRole", LOGS_ROLE, {"iam:PassedToService": "lambda.amazonaws.com"}),
    ("iam:CreatePolicyVersion", BOUNDARY, {}),
    ("iam:SetDefaultPolicyVersion", BOUNDARY, {}),
    ("iam:DeletePolicy", BOUNDARY, {}),
    ("iam:CreateUser", "arn:aws:iam::123456789012:user/mallory", {}),
    ("iam:CreateAccessKey", "arn:aws:iam::123456789012:user/payflow-dev-x", {}),
    ("iam:AddClientIDToOpenIDConnectProvider", f"arn:aws:iam::1:oidc-provider/{GITHUB}", {}),
    ("iam:CreateOpenIDConnectProvider", "arn:aws:iam::1:oidc-provider/evil.example", {}),
    ("sts:AssumeRole", ROLE, {}),
    ("cloudformation:UpdateStack", ADMINISTRATORS, {}),
    ("cloudformation:DeleteStack", ADMINISTRATORS, {}),
    ("cloudformation:CreateChangeSet", ADMINISTRATORS, {}),
    ("cloudformation:ExecuteChangeSet", ADMINISTRATORS, {}),
    # The tables' contents, and the tables' end.
    *(
        (f"dynamodb:{action}", resource, {})
        for action in ON_ITEMS
        for resource in (TABLE, f"{TABLE}/index/status-createdAt-index")
    ),
    ("dynamodb:GetRecords", f"{TABLE}/stream/2026-11-24T00:00:00.000", {}),
    ("dynamodb:GetShardIterator", f"{TABLE}/stream/2026-11-24T00:00:00.000", {}),
    ("dynamodb:ExportTableToPointInTime", TABLE, {}),
    ("dynamodb:CreateBackup", TABLE, {}),
    ("dynamodb:RestoreTableToPointInTime", TABLE, {}),
    ("dynamodb:RestoreTableFromBackup", TABLE, {}),
    ("dynamodb:CreateTableReplica", TABLE, {}),
    ("dynamodb:CreateGlobalTable", TABLE, {}),
    ("dynamodb:EnableKinesisStreamingDestination", TABLE, {}),
    ("dynamodb:PutResourcePolicy", TABLE, {}),
    ("dynamodb:DeleteTable", TABLE, {}),
    ("dynamodb:UpdateContinuousBackups", TABLE, {}),
    ("dynamodb:UpdateTimeToLive", TABLE, {}),
    ("dynamodb:CreateTable", TABLE, {}),
    ("lambda:InvokeFunction", FUNCTION, {}),
    ("lambda:CreateFunctionUrlConfig", FUNCTION, {}),
    ("lambda:AddPermission", FUNCTION, {"lambda:Principal": "999999999999"}),
    ("lambda:AddPermission", FUNCTION, {"lambda:Principal": "*"}),
    # A way back in, for after the revert.
    ("iam:CreateRole", ROLE, IN_THE_BOUNDARY),
    ("lambda:CreateFunction", f"{FUNCTION}-way_back", {}),
    ("lambda:CreateEventSourceMapping", "*", {"lambda:FunctionArn": f"{FUNCTION}-way_back"}),
    ("sqs:CreateQueue", f"arn:aws:sqs:{ACCOUNT}:payflow-copy-dev", {}),
    (
        "cloudformation:ExecuteChangeSet",
        BACKEND,
        {"cloudformation:ChangeSetName": "payflow-administrator-0a1b"},
    ),
    # What is not the project's, or is another stage's.
    ("lambda:UpdateFunctionCode", f"arn:aws:lambda:{ACCOUNT}:function:another", {}),
    ("lambda:UpdateFunctionCode", f"arn:aws:lambda:{ACCOUNT}:function:payflow-prod", {}),
    ("lambda:UpdateFunctionCode", f"arn:aws:lambda:{ACCOUNT}:function:payflow-dev2", {}),
    (
        "lambda:CreateEventSourceMapping",
        "*",
        {"lambda:FunctionArn": f"arn:aws:lambda:{ACCOUNT}:function:another"},
    ),
    ("lambda:DeleteEventSourceMapping", MAPPING, {}),
    ("events:PutRule", RULE, {}),
    ("events:PutTargets", RULE, {"events:TargetArn": f"arn:aws:sqs:{ACCOUNT}:another"}),
    (
        "cloudwatch:PutMetricAlarm",
        ALARM,
        {"cloudwatch:AlarmActions": "arn:aws:automate:ca-central-1:ec2:terminate"},
    ),
    ("dynamodb:UpdateTable", f"arn:aws:dynamodb:{ACCOUNT}:table/another", {}),
    ("dynamodb:UpdateTable", f"arn:aws:dynamodb:{ACCOUNT}:table/payflow-payments-prod", {}),
    ("sqs:DeleteQueue", f"arn:aws:sqs:{ACCOUNT}:another", {}),
    ("sqs:ReceiveMessage", QUEUE, {}),
    ("logs:PutSubscriptionFilter", LOGS, {}),
    ("logs:FilterLogEvents", LOGS, {}),
    ("logs:DeleteLogGroup", f"arn:aws:logs:{ACCOUNT}:log-group:/aws/lambda/another", {}),
    ("apigateway:PATCH", "arn:aws:apigateway:ca-central-1::/restapis/another", {}),
    ("apigateway:PATCH", "arn:aws:apigateway:ca-central-1::/account", {}),
    ("apigateway:POST", "arn:aws:apigateway:ca-central-1::/restapis", {}),
    ("apigateway:POST", "arn:aws:apigateway:ca-central-1::/domainnames", {}),
    ("apigateway:DELETE", API, {}),
    ("s3:GetObject", f"{SITE}/index.html", {}),
    ("s3:GetObject", "arn:aws:s3:::another/secret", {}),
    ("ssm:GetParameter", f"arn:aws:ssm:{ACCOUNT}:parameter/secret", {}),
    ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{ACCOUNT}:secret:one", {}),
    *((f"kms:{action}", SECRETS_KEY, ITS_TAGS) for action in ON_THE_KEY),
    ("ec2:RunInstances", "*", {}),
]


@pytest.mark.parametrize(("action", "resource", "context"), OUTSIDE)
def test_a_compromised_push_to_main_cannot(action: str, resource: str, context: Context) -> None:
    for rights in (backend, frontend, cloudformation):
        assert not rights.allow(action, resource, context)


def test_no_api_is_changed_before_the_administrator_names_it() -> None:
    unnamed = rights_of(Template(BODY, Stage="dev").resource("CloudFormationRole"))
    assert not any(action.startswith("apigateway:") for action in unnamed.actions())


# What a deploy must be able to do

OWNED: dict[str, list[str]] = {
    "AWS::ApiGateway::Deployment": [f"{API}/deployments"],
    "AWS::ApiGateway::RestApi": [API],
    "AWS::ApiGateway::Stage": [f"{API}/stages/api"],
    "AWS::CloudWatch::Alarm": [ALARM],
    "AWS::DynamoDB::Table": [TABLE, TABLE.replace("payments", "idempotency")],
    "AWS::Events::Rule": [RULE],
    "AWS::IAM::Role": [ROLE],
    "AWS::Lambda::EventSourceMapping": [MAPPING],
    "AWS::Lambda::Function": [
        FUNCTION,
        f"{FUNCTION}-webhook_processor",
        f"{FUNCTION}-delivery_worker",
        f"{FUNCTION}-export_worker",
    ],
    "AWS::Lambda::Permission": [FUNCTION],
    "AWS::Logs::LogGroup": [
        f"arn:aws:logs:{ACCOUNT}:log-group:/aws/lambda/payflow-dev-sweeper",
        f"arn:aws:logs:{ACCOUNT}:log-group:/aws/lambda/payflow-dev",
        f"arn:aws:logs:{ACCOUNT}:log-group:/payflow/dev/api-access",
    ],
    "AWS::SNS::Subscription": [TOPIC],
    "AWS::SNS::Topic": [TOPIC],
    "AWS::SQS::Queue": [
        QUEUE.replace("webhooks", name)
        for kind in ("webhooks", "deliveries", "exports")
        for name in (kind, f"{kind}-dlq")
    ],
    "AWS::S3::Bucket": [EXPORTS],
    "AWS::S3::BucketPolicy": [EXPORTS],
    "AWS::SQS::QueuePolicy": [QUEUE],
}
ELSEWHERE = {
    "iam:GetRole": ROLE,
    "iam:PassRole": ROLE,
    "s3:GetObject": f"{PACKAGES}/code.zip",
    "s3:GetObjectVersion": f"{PACKAGES}/code.zip",
}
"""What an action is needed on, when that is not the resource that is being made."""

CONTEXT: Context = {
    "cloudwatch:AlarmActions": TOPIC,
    "events:TargetArn": f"{FUNCTION}-sweeper",
    "iam:PassedToService": "lambda.amazonaws.com",
    "iam:PermissionsBoundary": BOUNDARY,
    "lambda:FunctionArn": f"{FUNCTION}-webhook_processor",
    "lambda:Principal": "apigateway.amazonaws.com",
}
NOT_USED: dict[str, dict[str, set[str]]] = {
    "AWS::ApiGateway::RestApi": {"Policy": {"apigateway:UpdateRestApiPolicy"}},
    "AWS::DynamoDB::Table": {
        "ContributorInsightsSpecification": {"dynamodb:UpdateContributorInsights"},
        "ImportSourceSpecification": {"dynamodb:DescribeImport", "dynamodb:ImportTable"},
        "KinesisStreamSpecification": {
            "dynamodb:DisableKinesisStreamingDestination",
            "dynamodb:EnableKinesisStreamingDestination",
            "dynamodb:UpdateKinesisStreamingDestination",
        },
        "ResourcePolicy": {"dynamodb:DeleteResourcePolicy", "dynamodb:PutResourcePolicy"},
    },
    "AWS::Lambda::Function": {
        "CapacityProviderConfig": {"lambda:PassCapacityProvider"},
        "CodeSigningConfigArn": {
            "lambda:DeleteFunctionCodeSigningConfig",
            "lambda:GetCodeSigningConfig",
            "lambda:PutFunctionCodeSigningConfig",
        },
        "FunctionScalingConfig": {"lambda:PutFunctionScalingConfig"},
        "Layers": {"lambda:GetLayerVersion"},
        "PublishToLatestPublished": {"lambda:PublishVersion"},
        "RecursiveLoop": {"lambda:PutFunctionRecursionConfig"},
        "RuntimeManagementConfig": {
            "lambda:AssociateRuntimeAlias",
            "lambda:PutRuntimeManagementConfig",
        },
    },
    "AWS::Logs::LogGroup": {
        "BearerTokenAuthenticationEnabled": {"logs:PutBearerTokenAuthentication"},
        "DataProtectionPolicy": {
            "logs:CreateLogDelivery",
            "logs:DeleteDataProtectionPolicy",
            "logs:PutDataProtectionPolicy",
        },
        "DeletionProtectionEnabled": {"logs:PutLogGroupDeletionProtection"},
        "FieldIndexPolicies": {"logs:DeleteIndexPolicy", "logs:PutIndexPolicy"},
        "KmsKeyId": {"logs:AssociateKmsKey", "logs:DisassociateKmsKey"},
        "ResourcePolicyDocument": {"logs:DeleteResourcePolicy", "logs:PutResourcePolicy"},
    },
    "AWS::S3::Bucket": {
        "AbacStatus": {"s3:PutBucketAbac"},
        "AccelerateConfiguration": {"s3:PutAccelerateConfiguration"},
        "AccessControl": {"s3:PutBucketAcl", "s3:PutObjectAcl"},
        "AnalyticsConfigurations": {
            "s3:DeleteBucketAnalyticsConfiguration",
            "s3:PutAnalyticsConfiguration",
        },
        "CorsConfiguration": {"s3:DeleteBucketCors", "s3:PutBucketCORS"},
        "IntelligentTieringConfigurations": {"s3:PutIntelligentTieringConfiguration"},
        "InventoryConfigurations": {"s3:PutInventoryConfiguration"},
        "LoggingConfiguration": {"s3:PutBucketLogging"},
        "MetadataTableConfiguration": {
            "s3:CreateBucketMetadataTableConfiguration",
            "s3:DeleteBucketMetadataTableConfiguration",
            "s3:UpdateBucketMetadataAnnotationTableConfiguration",
            "s3:UpdateBucketMetadataInventoryTableConfiguration",
            "s3:UpdateBucketMetadataJournalTableConfiguration",
        },
        "MetricsConfigurations": {
            "s3:DeleteBucketMetricsConfiguration",
            "s3:PutMetricsConfiguration",
        },
        "NotificationConfiguration": {"s3:PutBucketNotification"},
        "ObjectLockConfiguration": {
            "s3:PutBucketObjectLockConfiguration",
            "s3:PutObjectLockConfiguration",
        },
        "ReplicationConfiguration": {
            "s3:DeleteBucketReplication",
            "s3:DeleteObject",
            "s3:PutBucketReplication",
            "s3:PutReplicationConfiguration",
        },
        "VersioningConfiguration": {"s3:PutBucketVersioning"},
        "WebsiteConfiguration": {"s3:DeleteBucketWebsite", "s3:PutBucketWebsite"},
    },
    "AWS::SNS::Topic": {"DataProtectionPolicy": {"sns:PutDataProtectionPolicy"}},
}
"""Actions of a kind's handlers that our resources of the kind do not need, by the property that
none of them sets; tests/infra/test_package.py looks."""

BUCKETS_BIRTH = (
    "CreateBucket",
    "DeleteBucket",
    "DeleteBucketPolicy",
    "PutBucketOwnershipControls",
    "PutBucketPolicy",
    "PutBucketPublicAccessBlock",
    "PutBucketTagging",
    "PutEncryptionConfiguration",
    "PutLifecycleConfiguration",
    "TagResource",
    "UntagResource",
)
REFUSED = {
    # The items of a table, which a replica is filled with; the table's birth, backups and end.
    *(action for action, _, _ in OUTSIDE if action.startswith("dynamodb:")),
    # A rule may show a function any event of the account.
    "events:PutRule",
    # What a bad push created would outlive its revert.
    "iam:CreateRole",
    "lambda:CreateEventSourceMapping",
    "lambda:CreateFunction",
    "sqs:CreateQueue",
    *(f"s3:{action}" for action in BUCKETS_BIRTH),
    # Nothing removes them from the template.
    "s3:DeleteBucketEncryption",
    "s3:DeleteBucketLifecycle",
    # They reach any topic's subscription; the administrator changes who hears of alarms.
    "sns:SetSubscriptionAttributes",
    "sns:Unsubscribe",
    "dynamodb:AssociateTableReplica",
    # An API's birth and end: the administrator deploys it first, and clients know it by its id.
    "apigateway:POST on " + API,
    "apigateway:DELETE on " + API,
    # Rights of a role other than by a policy of its own, within the boundary.
    "iam:AttachRolePolicy",
    "iam:DeleteRolePermissionsBoundary",
    "iam:DetachRolePolicy",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateRole",
    "iam:UpdateRoleDescription",
}


BESIDE_THE_ADMINISTRATOR = [
    ("dynamodb:CreateTable", TABLE),
    ("dynamodb:UpdateContinuousBackups", TABLE),
    ("dynamodb:UpdateTimeToLive", TABLE),
    ("events:PutRule", RULE),
    ("iam:CreateRole", ROLE),
    ("lambda:CreateEventSourceMapping", "*"),
    ("lambda:CreateFunction", f"{FUNCTION}-sweeper"),
    ("sqs:CreateQueue", QUEUE),
    ("sns:SetSubscriptionAttributes", "*"),
    ("sns:Unsubscribe", "*"),
    ("kms:CreateAlias", SECRETS_KEY),
    ("kms:CreateKey", SECRETS_KEY),
    ("kms:EnableKeyRotation", SECRETS_KEY),
    ("kms:TagResource", SECRETS_KEY),
    *((f"s3:{action}", EXPORTS) for action in BUCKETS_BIRTH),
]


def needed_for(kind: str) -> set[tuple[str, str]]:
    """Actions, each with its resource, by which CloudFormation looks after resources of a kind:
    AWS says so in the kind's schema. Other services' are for properties that we do not set."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("ca-central-1", kind).schema
    return {
        (action, resource)
        for name, handler in schema["handlers"].items()
        if name != "list"
        for action in handler["permissions"]
        if action in ELSEWHERE or action.startswith(f"{kind.split('::')[1].lower()}:")
        for resource in ([ELSEWHERE[action]] if action in ELSEWHERE else OWNED[kind])
        if not any(action in actions for actions in NOT_USED.get(kind, {}).values())
        and REFUSED.isdisjoint({action, f"{action} on {resource}"})
    }


@pytest.mark.parametrize("kind", OWNED)
def test_cloudformation_role_has_the_permissions_of_its_handlers(kind: str) -> None:
    needed = needed_for(kind)
    assert needed
    lacking = [need for need in sorted(needed) if not cloudformation.allow(*need, CONTEXT)]
    assert not lacking


def test_exempt_actions_belong_to_a_handler_and_their_property_to_the_kind() -> None:
    for kind, properties in NOT_USED.items():
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("ca-central-1", kind).schema
        asked = {one for handler in schema["handlers"].values() for one in handler["permissions"]}
        assert properties.keys() <= schema["properties"].keys()
        assert set().union(*properties.values()) <= asked


@pytest.mark.parametrize(("action", "resource"), BESIDE_THE_ADMINISTRATOR)
def test_what_outlives_a_revert_is_created_only_beside_an_administrator(
    action: str, resource: str
) -> None:
    noon: Context = {**CONTEXT, "aws:CurrentTime": "2026-11-25T12:00:00Z"}
    until = Template(BODY, Stage="dev", ApiId=API_ID, Administrator="2026-11-25T12:00:01Z")
    over = Template(BODY, Stage="dev", ApiId=API_ID, Administrator="2026-11-25T12:00:00Z")
    assert rights_of(until.resource("CloudFormationRole")).allow(action, resource, noon)
    for template in (over, STACK):
        rights = rights_of(template.resource("CloudFormationRole"))
        assert not rights.allow(action, resource, noon)
        assert not rights.allow(action, resource, CONTEXT)


def test_an_administrators_presence_changes_nothing_else() -> None:
    timed = {
        action
        for statement in cloudformation.of_effect("Allow")
        if "DateLessThan" in statement.get("Condition", {})
        for action in iam.listed(statement["Action"])
    }
    assert timed == {action for action, _ in BESIDE_THE_ADMINISTRATOR}


# What the backend's functions can do at most


@pytest.mark.parametrize("function", FUNCTIONS)
def test_boundary_allows_a_function_its_calls(function: str) -> None:
    names = {"PaymentsTable": TABLE, "WebhookQueue": QUEUE, "*": "*"}
    names["SecretsKey"] = SECRETS_KEY
    names["DeliveriesQueue"] = QUEUE.replace("webhooks", "deliveries")
    names["ExportsQueue"] = QUEUE.replace("webhooks", "exports")
    names["ExportsBucket"] = EXPORTS
    names["IdempotencyTable"] = TABLE.replace("payments", "idempotency")
    within = Rights(boundary)
    suffix = "" if function == hearing.API else f"-{function}"
    from_inside: Context = {
        "lambda:SourceFunctionArn": FUNCTION + suffix,
        "kms:RequestAlias": "alias/payflow-secrets-dev",
    }
    lambdas_own = iam.of_the_service(payflow.app, function, payflow.settings.stage)
    for grant in iam.granted(iam.read_policy(function)):
        context = {} if grant in lambdas_own else from_inside
        table, slash, index = grant.resource.partition("/")
        resource = (
            (names[table] + slash + index)
            if table in names
            else LOGS.replace("payflow-dev:", f"payflow-dev{suffix}:")
        )
        assert within.allow(grant.action, resource, context), grant


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("dynamodb:Query", TABLE),
        ("dynamodb:UpdateItem", TABLE),
        ("logs:FilterLogEvents", API_LOG),
        ("logs:FilterLogEvents", f"{API_LOG}:*"),
        ("sqs:SendMessage", QUEUE),
    ],
)
def test_boundary_allows_the_api_to_count_to_log_and_to_enqueue(action: str, resource: str) -> None:
    # Whatever the partition: which ones is for the function's own policy to say.
    context: Context = {
        "lambda:SourceFunctionArn": FUNCTION,
        "dynamodb:LeadingKeys": "STATS#07",
    }
    assert Rights(boundary).allow(action, resource, context)


def test_boundary_allows_the_use_of_a_key_through_dynamodb_only() -> None:
    key = f"arn:aws:kms:{ACCOUNT}:key/8b578b29-fc81-47f1-8b65-27f832bf7f61"
    through: Context = {"kms:ViaService": "dynamodb.ca-central-1.amazonaws.com"}
    for action in ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:DescribeKey"):
        assert Rights(boundary).allow(action, key, through)
        assert not Rights(boundary).allow(action, key)
        elsewhere: Context = {"kms:ViaService": "s3.ca-central-1.amazonaws.com"}
        assert not Rights(boundary).allow(action, key, elsewhere)


ALL_OF_IT = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
FROM_OUTSIDE: list[Context] = [
    {},
    {"lambda:SourceFunctionArn": f"arn:aws:lambda:{ACCOUNT}:function:x"},
]


@pytest.mark.parametrize("context", FROM_OUTSIDE)
def test_role_that_trusts_anybody_reaches_neither_tables_nor_logs(
    context: Context,
) -> None:
    evil = Rights(ALL_OF_IT, boundary)
    assert not evil.allow("logs:FilterLogEvents", f"{API_LOG}:*", context)
    assert not evil.allow("sqs:SendMessage", QUEUE, context)
    alias = {"kms:RequestAlias": "alias/payflow-secrets-dev"}
    assert not evil.allow("kms:Decrypt", SECRETS_KEY, {**context, **alias})
    for action in ("GetItem", "Query", "Scan", "BatchGetItem", "PutItem", "UpdateItem"):
        assert not evil.allow(f"dynamodb:{action}", TABLE, context)
        assert not evil.allow(f"dynamodb:{action}", f"{TABLE}/index/all-createdAt-index", context)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("dynamodb:Scan", TABLE),
        ("dynamodb:ExportTableToPointInTime", TABLE),
        ("dynamodb:DeleteTable", TABLE),
        ("dynamodb:GetItem", TABLE.replace("-dev", "-prod")),
        ("dynamodb:GetItem", f"arn:aws:dynamodb:{ACCOUNT}:table/another"),
        ("sqs:SendMessage", QUEUE.replace("-dev", "-prod")),
        ("logs:FilterLogEvents", f"{API_LOG.replace('-dev', '-prod')}:*"),
        ("logs:FilterLogEvents", f"arn:aws:logs:{ACCOUNT}:log-group:/aws/lambda/another:*"),
        ("iam:PutRolePolicy", ROLE),
        ("sts:AssumeRole", OWN_ROLE),
        ("kms:Decrypt", SECRETS_KEY),
        ("kms:ScheduleKeyDeletion", SECRETS_KEY),
        ("s3:GetObject", "arn:aws:s3:::another/secret"),
        ("lambda:UpdateFunctionCode", FUNCTION),
    ],
)
def test_boundary_forbids_a_function_whatever_its_policy(action: str, resource: str) -> None:
    evil = Rights(ALL_OF_IT, boundary)
    assert not evil.allow(action, resource, {"lambda:SourceFunctionArn": FUNCTION})


def test_function_that_is_none_of_ours_has_nothing_of_the_boundary() -> None:
    stranger = f"{FUNCTION}-way_back"
    for grant in ("dynamodb:Query", TABLE), ("sqs:SendMessage", QUEUE):
        assert not Rights(boundary).allow(*grant, {"lambda:SourceFunctionArn": stranger})
        for function in FUNCTIONS:
            own = FUNCTION if function == hearing.API else f"{FUNCTION}-{function}"
            assert Rights(boundary).allow(*grant, {"lambda:SourceFunctionArn": own})


def test_policies_are_within_the_size_limits_of_iam() -> None:
    def length(document: Any) -> int:
        return len("".join(json.dumps(document).split()))

    assert length({"Version": "2012-10-17", "Statement": boundary}) < 6144
    for role in ("CloudFormationRole", *DEPLOY_ROLES):
        policies = STACK.resource(role)["Policies"]
        assert sum(length(policy["PolicyDocument"]) for policy in policies) < 10240, role

"""The template: what AWS's own tools say of it, and that it agrees with the code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from auricle.deployment import wheels
from auricle.serving import assembly, aws_transcriber, observe
from auricle.serving.aws_settings import (
    ANSWER_SECONDS,
    DIRECT_BYTES,
    MEGABYTES_FOR_A_CORE,
    PAYLOAD_BYTES,
    UPLOAD_SECONDS,
    LambdaSettings,
)
from auricle.serving.aws_store import MOST_ATTEMPTS, PREFIX
from aws_lambda.stack import ROOT, TEMPLATE, rendered, resources, sam, template, written

REAL_TIME = 0.03  # seconds of work for a second of speech, on a core: RESULTS.md


def test_cfn_lint_has_nothing_to_say() -> None:
    script = str(Path(sys.executable).with_name("cfn-lint"))
    done = subprocess.run([script, str(TEMPLATE)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_sam_validates_it(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "AWS_DEFAULT_REGION": "us-east-2", "SAM_CLI_TELEMETRY": "0"}
    command = [sam(), "validate", "--lint", "--template", str(TEMPLATE)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**environment, "HOME": str(tmp_path)}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is a valid SAM Template" in done.stdout


def _statements() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, resource in template()["Resources"].items():
        properties = resource.get("Properties", {})
        documents = [policy["PolicyDocument"] for policy in properties.get("Policies", ())]
        documents += [properties["PolicyDocument"]] if "PolicyDocument" in properties else []
        for document in documents:
            for statement in document["Statement"]:
                yield name, statement


def test_permissions_name_what_they_are_for() -> None:
    found = list(_statements())
    assert len(found) == 13
    for name, statement in found:
        targets = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        assert "*" not in targets, name
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        if statement["Effect"] == "Allow":
            assert not [action for action in actions if "*" in action], name
    assert not resources("AWS::IAM::ManagedPolicy")
    for role in resources("AWS::IAM::Role").values():
        assert "ManagedPolicyArns" not in role  # AWS's basic one may write to every log there is
    functions = resources("AWS::Lambda::Function")
    assert {name: function["Role"]["Fn::GetAtt"][0] for name, function in functions.items()} == {
        "ApiFunction": "ApiRole",
        "UploadsFunction": "UploadsRole",
    }


def test_the_functions_are_those_of_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    functions = resources("AWS::Lambda::Function")
    buckets = {f"AURICLE_{field.upper()}" for field in ("uploads_bucket", "results_bucket")}
    known = {f"AURICLE_{field.upper()}" for field in LambdaSettings.model_fields}
    for variable in buckets:
        monkeypatch.setenv(variable, "a-bucket")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-2")
    for function in functions.values():
        module, _, attribute = function["Handler"].rpartition(".")
        assert (ROOT / "src" / f"{module.replace('.', '/')}.py").is_file()
        if module.endswith("uploads"):
            assert callable(getattr(import_module(module), attribute))
        variables = set(function["Environment"]["Variables"])
        assert buckets <= variables <= known
        assert function["Runtime"].removeprefix("python") in wheels.VERSIONS
        assert function["Architectures"] == ["x86_64"]
    assert functions["ApiFunction"]["SnapStart"] == {"ApplyOn": {"Ref": "SnapStart"}}
    assert template()["Parameters"]["SnapStart"]["Default"] == "PublishedVersions"
    (alias,) = resources("AWS::Lambda::Alias").values()
    assert alias["FunctionName"] == {"Ref": "ApiFunction"}
    for operations in resources("AWS::ApiGatewayV2::Api")["Api"]["Body"]["paths"].values():
        for operation in operations.values():
            uri = operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
            assert "${ApiFunctionAliaslive}" in uri  # a snapshot belongs to a version, not to $LATEST


def test_bodies_fit_from_the_page_to_the_function() -> None:
    settings = LambdaSettings()
    overhead = 200_000  # what else is in an event
    assert settings.max_bytes > DIRECT_BYTES
    assert settings.max_bytes * 4 / 3 + overhead <= PAYLOAD_BYTES
    megabytes = written("UploadsFunction")["EphemeralStorage"]["Size"]
    assert settings.max_job_bytes < megabytes * (1 << 20)


def test_times_fit_into_one_another() -> None:
    settings = LambdaSettings()
    functions = resources("AWS::Lambda::Function")
    cores = template()["Parameters"]["Memory"]["Default"] / MEGABYTES_FOR_A_CORE
    integrations = [
        operation["x-amazon-apigateway-integration"]
        for operations in resources("AWS::ApiGatewayV2::Api")["Api"]["Body"]["paths"].values()
        for operation in operations.values()
    ]
    assert {one["timeoutInMillis"] for one in integrations} == {ANSWER_SECONDS * 1000}
    assert {one["payloadFormatVersion"] for one in integrations} == {"2.0"}
    assert ANSWER_SECONDS / 2 < functions["ApiFunction"]["Timeout"] < ANSWER_SECONDS
    assert settings.max_seconds * REAL_TIME / cores <= functions["ApiFunction"]["Timeout"] / 2
    assert functions["UploadsFunction"]["Timeout"] == UPLOAD_SECONDS
    assert settings.max_job_seconds * REAL_TIME / cores <= (UPLOAD_SECONDS - aws_transcriber._LAST_SECONDS) / 2
    assert written("ApiDuration")["Threshold"] < 1000 * functions["ApiFunction"]["Timeout"]
    assert written("UploadsDuration")["Threshold"] < 1000 * UPLOAD_SECONDS


def test_other_origins_may_what_the_page_does_and_no_more() -> None:
    page = {"Fn::Sub": "https://${Distribution.DomainName}"}
    cors = resources("AWS::ApiGatewayV2::Api")["Api"]["Body"]["x-amazon-apigateway-cors"]
    assert cors["allowOrigins"] == [page]
    routes = {
        method.upper()
        for operations in resources("AWS::ApiGatewayV2::Api")["Api"]["Body"]["paths"].values()
        for method in operations
    }
    assert set(cors["allowMethods"]) == routes <= set(assembly.METHODS)
    assert set(cors["exposeHeaders"]) == {name.lower() for name in assembly.EXPOSED_HEADERS}
    scripts = "".join(path.read_text() for path in (ROOT / "src/auricle/serving/web").glob("*.js"))
    sent = {name.lower() for name in re.findall(r'(?:setRequestHeader\(|headers: \{ )"([\w-]+)"', scripts)}
    assert {"authorization", "content-type"} == sent == set(cors["allowHeaders"])
    for bucket, method in (("UploadsBucket", "PUT"), ("ResultsBucket", "GET")):
        (rule,) = written(bucket)["CorsConfiguration"]["CorsRules"]
        assert (rule["AllowedOrigins"], rule["AllowedMethods"]) == ([page], [method])


def test_the_pages_policy_is_the_servers_with_three_addresses_more() -> None:
    config = written("PageHeaders")["ResponseHeadersPolicyConfig"]
    stated = config["SecurityHeadersConfig"]["ContentSecurityPolicy"]["ContentSecurityPolicy"]["Fn::Sub"]
    mine = dict(part.strip().split(" ", 1) for part in stated.split(";"))
    servers = dict(part.strip().split(" ", 1) for part in observe._POLICY.split(";"))
    own, *others = mine.pop("connect-src").split()
    assert own == servers.pop("connect-src")
    assert len(others) == 3
    assert mine == servers


def test_an_event_is_repeated_as_often_as_the_code_expects() -> None:
    (invoke,) = resources("AWS::Lambda::EventInvokeConfig").values()
    assert invoke["MaximumRetryAttempts"] == MOST_ATTEMPTS  # the attempt after those writes the error object
    assert invoke["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": ["FailedEvents", "Arn"]}
    (configuration,) = resources("AWS::S3::Bucket")["UploadsBucket"]["NotificationConfiguration"][
        "LambdaConfigurations"
    ]
    assert configuration["Filter"]["S3Key"]["Rules"] == [{"Name": "prefix", "Value": PREFIX}]


def test_nothing_is_public_nothing_is_kept_for_ever_and_somebody_is_told() -> None:
    for bucket in resources("AWS::S3::Bucket").values():
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        assert bucket["BucketEncryption"]
    for name in ("UploadsBucket", "ResultsBucket"):
        (rule,) = written(name)["LifecycleConfiguration"]["Rules"]
        assert rule["Status"] == "Enabled"
        assert rule["ExpirationInDays"]
    logs = resources("AWS::Logs::LogGroup")
    assert all(log["RetentionInDays"] == {"Ref": "LogDays"} for log in logs.values())
    for function in resources("AWS::Lambda::Function").values():
        assert function["LoggingConfig"]["LogGroup"]["Ref"] in logs
    watched = {
        (a["MetricName"], a["Dimensions"][0]["Value"].get("Ref")) for a in resources("AWS::CloudWatch::Alarm").values()
    }
    for name in ("ApiFunction", "UploadsFunction"):
        assert {("Errors", name), ("Duration", name)} <= watched
    (stage,) = resources("AWS::ApiGatewayV2::Stage").values()
    assert set(stage["DefaultRouteSettings"]) == {"ThrottlingRateLimit", "ThrottlingBurstLimit"}


def test_it_renders() -> None:
    assert len(rendered()["Resources"]) > len(template()["Resources"])
    assert set(template()["Outputs"]) == {"PageAddress", "ApiAddress", "PageBucket"}
    assert json.dumps(rendered()).count("AWS::Serverless") == 0

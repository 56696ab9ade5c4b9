"""Events in the shapes that AWS documents and records, made for a request: HTTP API, REST API, function URL, S3.

Identifiers are invented. HTTP APIs and function URLs write header names in lower case and encode what is not text; REST
APIs keep the case of the caller and encode what their binaryMediaTypes say.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import httpx2

Event: TypeAlias = dict[str, Any]
Maker: TypeAlias = Callable[..., Event]
_ID = "JKJaXmPLvHcESHA="


def form(path: Path | None = None, **fields: str) -> tuple[bytes, str]:
    """A multipart form: its body and its content type."""
    files = {"file": (path.name, path.read_bytes())} if path else None
    request = httpx2.Request("POST", "http://localhost", data=fields, files=files)
    return request.read(), request.headers["content-type"]


def http_api(
    method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, query: str = ""
) -> Event:
    """API Gateway's HTTP API, payload format 2.0."""
    domain = "r3pmxmplak.execute-api.us-east-2.amazonaws.com"
    sent = {
        "accept": "*/*",
        "content-length": str(len(body)),
        "host": domain,
        "user-agent": "curl/8.5.0",
        "x-amzn-trace-id": "Root=1-5e6722a7-cc56xmpl46db7ae02d4da47e",
        "x-forwarded-for": "205.255.255.176",
        "x-forwarded-port": "443",
        "x-forwarded-proto": "https",
        **{name.lower(): value for name, value in (headers or {}).items()},
    }
    event: Event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": sent,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "r3pmxmplak",
            "domainName": domain,
            "domainPrefix": "r3pmxmplak",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "205.255.255.176",
                "userAgent": "curl/8.5.0",
            },
            "requestId": _ID,
            "routeKey": "$default",
            "stage": "$default",
            "time": "10/Mar/2020:05:16:23 +0000",
            "timeEpoch": 1583817383220,
        },
        "isBase64Encoded": False,
    }
    return _with_body(event, body, sent.get("content-type", ""))


def function_url(
    method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, query: str = ""
) -> Event:
    """A function URL: the HTTP API's format, from another address."""
    event = http_api(method, path, body, headers, query)
    domain = "abcdefghijklmnopqrstuvwxyz123456.lambda-url.us-east-2.on.aws"
    event["headers"]["host"] = domain
    event["requestContext"] |= {"domainName": domain, "domainPrefix": domain.split(".", 1)[0], "apiId": "abcdefgh"}
    return event


def rest_api(
    method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, query: str = ""
) -> Event:
    """API Gateway's REST API, proxy integration, with multipart/form-data among its binary types."""
    domain = "70ixmpl4fl.execute-api.us-east-2.amazonaws.com"
    sent = {
        "Accept": "*/*",
        "Host": domain,
        "User-Agent": "curl/8.5.0",
        "X-Amzn-Trace-Id": "Root=1-5e66d96f-7491f09xmpl79d18acf3d050",
        "X-Forwarded-For": "205.255.255.176",
        "X-Forwarded-Port": "443",
        "X-Forwarded-Proto": "https",
        **(headers or {}),
    }
    pairs = dict(pair.split("=", 1) for pair in query.split("&") if pair)
    kind = next((value for name, value in sent.items() if name.lower() == "content-type"), "")
    event: Event = {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": pairs or None,
        "multiValueQueryStringParameters": {name: [value] for name, value in pairs.items()} or None,
        "pathParameters": {"proxy": path.lstrip("/")},
        "stageVariables": None,
        "requestContext": {
            "resourceId": "2gxmpl",
            "resourcePath": "/{proxy+}",
            "httpMethod": method,
            "extendedRequestId": _ID,
            "requestTime": "10/Mar/2020:00:03:59 +0000",
            "path": f"/Prod{path}",
            "accountId": "123456789012",
            "protocol": "HTTP/1.1",
            "stage": "Prod",
            "domainPrefix": "70ixmpl4fl",
            "requestTimeEpoch": 1583798639428,
            "requestId": "77375676-xmpl-4b79-853a-f982474efe18",
            "identity": {"sourceIp": "205.255.255.176", "userAgent": "curl/8.5.0", "user": None},
            "domainName": domain,
            "apiId": "70ixmpl4fl",
        },
        "body": None,
        "isBase64Encoded": False,
    }
    return _with_body(event, body, kind)


def s3_put(bucket: str, key: str, size: int = 1024) -> Event:
    """S3's notification of an object that was put."""
    return {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": "us-east-2",
                "eventTime": "2019-09-03T19:37:27.192Z",
                "eventName": "ObjectCreated:Put",
                "userIdentity": {"principalId": "AWS:AIDAINPONIXQXHT3IKHL2"},
                "requestParameters": {"sourceIPAddress": "205.255.255.255"},
                "responseElements": {"x-amz-request-id": "D82B88E5F771F645", "x-amz-id-2": "vlR7PnpV2Ce81l0PRw6j"},
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "configurationId": "828aa6fc-f7b5-4305-8584-487c791949c1",
                    "bucket": {
                        "name": bucket,
                        "ownerIdentity": {"principalId": "A3I5XTEXAMAI3E"},
                        "arn": f"arn:aws:s3:::{bucket}",
                    },
                    "object": {
                        "key": key,
                        "size": size,
                        "eTag": "b21b84d653bb07b05b1e6b33684dc11b",
                        "sequencer": "0C0F6F405D6ED209E1",
                    },
                },
            }
        ]
    }


def _with_body(event: Event, body: bytes, content_type: str) -> Event:
    text = content_type.startswith(("text/", "application/json", "application/xml"))
    if body:
        event |= {"body": body.decode() if text else base64.b64encode(body).decode(), "isBase64Encoded": not text}
    return event


def answer_of(reply: Mapping[str, Any]) -> bytes:
    """The bytes that API Gateway makes of a handler's reply."""
    body = str(reply["body"])
    return base64.b64decode(body) if reply["isBase64Encoded"] else body.encode()


KINDS: Mapping[str, Maker] = {"http-api": http_api, "rest-api": rest_api, "function-url": function_url}

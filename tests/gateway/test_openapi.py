"""The OpenAPI document: what it says of the contract, and that it is served."""

import json
import re
from typing import Any

import httpx
import pytest
from openapi_spec_validator import validate

from gateway import contract
from gateway.openapi.document import PATH
from tests.gateway.conftest import ORIGIN


@pytest.fixture(scope="module")
def document() -> Any:
    return json.loads(PATH.read_text())


def test_the_document_is_valid(document: Any) -> None:
    """By the published schema of OpenAPI 3.1, with every reference."""
    validate(document)
    assert document["openapi"] == "3.1.1"


def test_every_public_rpc_is_an_operation_of_its_path(document: Any) -> None:
    """No RPC is forgotten, and an internal one is not described."""
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    rules = [contract.http_rule(method) for service in contract.public_services() for method in service.methods]
    assert described == {(rule.method, rule.path) for rule in rules}
    assert "InternalService" not in PATH.read_text()


def test_only_what_signs_in_needs_no_credentials(document: Any) -> None:
    """All else has the bearer token that the document asks for by default, and says what happens without it."""
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    assert document["security"] == [{"bearer": []}]
    assert {operation["tags"][0] for operation in operations if operation.get("security") == []} == {"AuthService"}
    assert all({"401", "403"} <= operation["responses"].keys() for operation in operations if "security" not in operation)


def test_rules_of_the_contract_are_constraints(document: Any) -> None:
    """Lengths, patterns, formats, bounds, choices, and what may not be absent."""
    register = document["components"]["schemas"]["RegisterRequest"]
    assert register["required"] == ["username", "email", "password"]
    name = register["properties"]["username"]
    assert (name["minLength"], name["maxLength"], name["pattern"]) == (3, 64, "^[A-Za-z0-9][A-Za-z0-9._-]*$")
    assert register["properties"]["email"]["format"] == "email"
    parameters = document["paths"]["/v1/collections/{collection_id}/documents"]["get"]["parameters"]
    schemas = {parameter["name"]: parameter["schema"] for parameter in parameters}
    assert schemas["collection_id"] == {"type": "string", "format": "uuid"}
    assert schemas["sourceId"] == {"type": "string", "anyOf": [{"maxLength": 0}, {"format": "uuid"}]}
    assert schemas["states"] == {"type": "array", "items": {"$ref": "#/components/schemas/Document.State"}, "maxItems": 10}
    assert (schemas["pageSize"]["minimum"], schemas["pageSize"]["maximum"]) == (1, 1000)
    choices = document["components"]["schemas"]["MetadataValue"]["oneOf"]
    assert choices[0] == {"required": ["stringValue"]}


def test_values_have_the_form_that_json_gives_them(document: Any) -> None:
    """A count of 64 bits is a text, an enum a name, a time RFC 3339."""
    schemas = document["components"]["schemas"]
    assert schemas["RetryDocumentsResponse"]["properties"]["documentCount"]["type"] == "string"
    assert "STATE_INDEXED" in schemas["Document.State"]["enum"]
    assert schemas["Document"]["properties"]["createTime"]["format"] == "date-time"


def test_streams_uploads_and_bytes_have_their_media_types(document: Any) -> None:
    """A watch is events, an upload bytes, content of its own type."""
    paths = document["paths"]
    watch = paths["/v1/operations/{operation_id}:watch"]["get"]["responses"]["200"]["content"]
    assert watch == {"text/event-stream": {"schema": {"$ref": "#/components/schemas/WatchOperationResponse"}}}
    upload = paths["/v1/collections/{collection_id}/documents:upload"]["post"]
    assert list(upload["requestBody"]["content"]) == ["application/octet-stream"]
    assert [parameter["in"] for parameter in upload["parameters"][:2]] == ["path", "query"]
    assert list(paths["/v1/documents/{document_id}/content"]["get"]["responses"]["200"]["content"]) == ["*/*"]


def test_errors_have_the_reasons_that_the_comment_lists(document: Any) -> None:
    """Each at the status that the gateway gives it; those of OpenAI's paths have OpenAI's form."""
    answers = document["paths"]["/v1/auth:register"]["post"]["responses"]
    assert "`USER_EXISTS`" in answers["409"]["description"]
    assert "`REGISTRATION_CLOSED`" in answers["403"]["description"]
    assert "`TOO_MANY_ATTEMPTS`" in answers["429"]["description"]
    assert "retry-after" in answers["429"]["headers"]
    error = document["paths"]["/openai/v1/models"]["get"]["responses"]["401"]["content"]["application/json"]["schema"]
    assert error == {"$ref": "#/components/schemas/OpenAiError"}


async def test_the_document_is_served_to_pages_of_every_origin(http: httpx.AsyncClient, document: Any) -> None:
    """It is public, travels compressed, and is kept for an hour."""
    response = await http.get("/openapi.json", headers={"origin": ORIGIN})
    assert response.json() == document
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "public, max-age=3600"
    assert response.headers["content-encoding"] == "gzip"
    assert response.headers["access-control-allow-origin"] == "*"
    assert (await http.post("/openapi.json", json={})).status_code == 404


async def test_the_reference_is_served_without_another_host_and_without_inline_scripts(http: httpx.AsyncClient) -> None:
    """All that the page loads comes from this gateway, under a policy that allows nothing else."""
    page = await http.get("/docs")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = page.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    loaded = re.findall(r'(?:src|href)="(/[^"]+|https?:[^"]+)"', page.text)
    assert {"/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/docs/start.js", "/openapi.json"} <= set(loaded)
    for path in loaded:
        assert (await http.get(path)).status_code == 200
    assert re.findall(r"<script(?![^>]*src=)", page.text) == []

"""The gateway speaks JSON: routes, bodies, limits, errors."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

COLLECTION = "01890a5d-ac96-774b-bcce-b302099a8057"
INFO = "type.googleapis.com/google.rpc.ErrorInfo"


def reason(response: httpx.Response) -> str:
    """Return the reason of an error, having checked its shape."""
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) == {"code", "message", "details"}
    (info,) = (detail for detail in body["details"] if detail["@type"] == INFO)
    assert info["domain"] == "semantik"
    return str(info["reason"])


async def test_json_becomes_a_call_and_the_answer_json(http: httpx.AsyncClient) -> None:
    """A GET with an HTTP rule reaches its RPC, and default values are in the answer."""
    response = await http.get("/v1/users/me")
    assert response.status_code == 200
    assert response.json()["user"]["username"] == "ada"
    assert response.json()["user"]["role"] == "ROLE_UNSPECIFIED"


async def test_an_error_of_a_service_keeps_its_details(http: httpx.AsyncClient) -> None:
    """ErrorInfo arrives as JSON, with the HTTP status of its code."""
    response = await http.get(f"/v1/collections/{COLLECTION}")
    assert response.status_code == 404
    assert reason(response) == "COLLECTION_NOT_FOUND"
    assert response.json()["code"] == 5
    assert response.json()["message"] == "there is no such collection"


@pytest.mark.abuse(29, 36)
@pytest.mark.parametrize(
    ("method", "path", "body", "status", "expected"),
    [
        ("GET", "/v1/nothing", None, 404, "ROUTE_NOT_FOUND"),
        ("POST", "/", b"{}", 404, "ROUTE_NOT_FOUND"),
        ("PUT", "/v1/users/me", None, 404, "ROUTE_NOT_FOUND"),
        ("POST", "/semantik.auth.v1.UserService/GetMe", b"{}", 404, "ROUTE_NOT_FOUND"),
        ("POST", "/semantik.auth.v1.AuthInternalService/ListRevocations", b"{}", 404, "ROUTE_NOT_FOUND"),
        ("TRACE", "/v1/users/me", None, 405, "ROUTE_NOT_FOUND"),
        ("GET", "/v1/users/me?nonsense=1", None, 400, "INVALID_REQUEST"),
        ("POST", "/v1/auth:login", b'{"nonsense": 1}', 400, "INVALID_REQUEST"),
        ("POST", "/v1/auth:login", b' {"username": "a\\"{", "password": [{}, -1.5e3, null], "nonsense": 1}', 400, "INVALID_REQUEST"),
        ("PATCH", f"/v1/collections/{COLLECTION}?x=1", b'{"nonsense": 1}', 400, "INVALID_REQUEST"),
        ("POST", f"/v1/collections/{COLLECTION}/sources", b'{"directory": {"nonsense": 1}}', 400, "INVALID_REQUEST"),
        ("POST", "/v1/auth:login", b'{"username": ', 400, "INVALID_REQUEST"),
        ("POST", "/v1/auth:login", b'{"username": 5}', 400, "INVALID_REQUEST"),
        ("POST", "/v1/auth:login", b'{"username": {"a":' * 900, 400, "INVALID_REQUEST"),
        ("POST", "/v1/auth:login", b'{"username": "a", "username": "b"}', 400, "INVALID_REQUEST"),
        ("POST", "/v1/auth:login", b'{"username": "a", "user\\u006eame": "b"}', 400, "INVALID_REQUEST"),
        ("POST", "/v1/auth:register", b'{"fullName": "a", "full_name": "b"}', 400, "INVALID_REQUEST"),
        ("POST", f"/v1/collections/{COLLECTION}/sources", b'{"directory": {"path": "/a", "path": "/b"}}', 400, "INVALID_REQUEST"),
        (
            "POST",
            f"/v1/collections/{COLLECTION}/sources",
            b'{"collectionId": "01890a5d-ac96-774b-bcce-b302099a8058"}',
            400,
            "INVALID_REQUEST",
        ),
        ("POST", f"/v1/collections/{COLLECTION}/sources?collection_id=x", b'{"directory": {"path": "/a"}}', 400, "INVALID_REQUEST"),
        ("GET", f"/v1/collections/{COLLECTION}?collection_id=01890a5d-ac96-774b-bcce-b302099a8058", None, 400, "INVALID_REQUEST"),
        ("GET", f"/v1/collections/{COLLECTION}?collectionId=01890a5d-ac96-774b-bcce-b302099a8058", None, 400, "INVALID_REQUEST"),
        ("GET", f"/v1/collections/{COLLECTION}?collection%5fid=01890a5d-ac96-774b-bcce-b302099a8058", None, 400, "INVALID_REQUEST"),
        ("GET", f"/v1/collections/{COLLECTION}?%63ollectionId=01890a5d-ac96-774b-bcce-b302099a8058", None, 400, "INVALID_REQUEST"),
        ("GET", "/v1/collections?page_size=1&page_size=2", None, 400, "INVALID_REQUEST"),
        ("GET", "/v1/collections?page_size=1&pageSize=2", None, 400, "INVALID_REQUEST"),
        ("GET", "/v1/collections/a%2fb", None, 400, "INVALID_REQUEST"),
    ],
)
async def test_what_is_no_request_of_ours_is_refused_as_json(
    http: httpx.AsyncClient, method: str, path: str, body: bytes | None, status: int, expected: str
) -> None:
    """Unknown routes, methods, fields and broken bodies get one shape of error."""
    response = await http.request(method, path, content=body, headers={"content-type": "application/json"} if body else {})
    assert (response.status_code, reason(response)) == (status, expected)


@pytest.mark.parametrize("body", [b"", b"{}", b' { "username" : "a\\\\" , "password" : "[{" } ', '{"username": "\u00e9\u200b"}'.encode()])
async def test_json_of_the_contract_is_passed(http: httpx.AsyncClient, body: bytes) -> None:
    """Spaces, escapes, nothing at all."""
    response = await http.post("/v1/auth:login", content=body)
    assert response.status_code == 200, response.text


async def test_an_unknown_field_is_named(http: httpx.AsyncClient) -> None:
    """So that a typing error is found."""
    response = await http.post("/v1/auth:login", content=b'{"usrname": "ada"}')
    assert response.json()["message"] == "there is no field usrname"


@pytest.mark.abuse(9)
async def test_a_header_with_an_underscore_is_refused(http: httpx.AsyncClient) -> None:
    """Proxies disagree about x_user_id and x-user-id, so it does not pass."""
    response = await http.get("/v1/users/me", headers={"x_user_id": "1"})
    assert (response.status_code, reason(response)) == (400, "INVALID_REQUEST")


@pytest.mark.abuse(11)
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_json_body_over_the_limit_is_refused(http: httpx.AsyncClient, chunked: bool) -> None:
    """8 MiB is the limit of a JSON body, announced or not."""
    body = json.dumps({"username": "a" * 9_000_000}).encode()

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    headers = {"content-type": "application/json", "authorization": "Bearer x"}
    response = await http.post("/v1/collections", content=parts() if chunked else body, headers=headers)
    assert (response.status_code, reason(response)) == (413, "MESSAGE_TOO_LARGE")


@pytest.mark.abuse(11, 38)
@pytest.mark.parametrize("path", ["/v1/auth:login", "/v1/auth:register", "/v1/collections", "/v1/nothing"])
async def test_nobody_has_a_large_body_without_credentials(http: httpx.AsyncClient, path: str) -> None:
    """Nor where none are needed, whatever is shown."""
    for headers in ({}, {"authorization": "Bearer x"}):
        response = await http.post(path, json={"name": "a" * 17_000}, headers=headers)
        is_limited = "auth:" in path or not headers
        assert (response.status_code == 413) == is_limited, (path, headers)
    small = await http.post("/v1/auth:login", json={"username": "a" * 15_000})
    assert small.status_code == 200


@pytest.mark.abuse(13, 38)
@pytest.mark.parametrize(
    "body", [b"[0" + b",0" * 4_000_000, b'{"name": "' + b"\\\\" * 4_000_000 + b'"}', b'{"name":' * 1_000_000, b"{" + b" " * 8_000_000],
    ids=["numbers", "escapes", "depth", "spaces"],
)  # fmt: skip
async def test_no_body_holds_up_the_others(http: httpx.AsyncClient, body: bytes) -> None:
    """What one costs is bounded: others are answered within a second of it."""
    large = asyncio.create_task(http.post("/v1/collections", content=body, headers={"authorization": "Bearer x"}))
    loop = asyncio.get_running_loop()
    slowest = 0.0
    while not large.done():
        started = loop.time()
        await http.get("/v1/users/me")
        slowest = max(slowest, loop.time() - started)
    assert (await large).status_code >= 400  # the stand-in has no such method
    assert slowest < 1


async def test_a_list_may_be_named_often_in_a_query(http: httpx.AsyncClient) -> None:
    """In one spelling."""
    path = f"/v1/collections/{COLLECTION}/documents"
    assert (await http.get(f"{path}?states=STATE_INDEXED&states=STATE_FAILED&page_size=2")).status_code != 400


async def test_an_upload_is_streamed(http: httpx.AsyncClient) -> None:
    """A body far over the limit of JSON reaches UploadDocument in parts, with its name from the query."""
    path = f"/v1/collections/{COLLECTION}/documents:upload?name=notes/a.txt"
    response = await http.post(path, content=b"x" * 20_000_000, headers={"content-type": "text/plain"})
    assert response.status_code == 200, response.text
    assert response.json()["document"]["sizeBytes"] == "20000000"
    assert response.json()["document"]["name"] == "notes/a.txt"


@pytest.mark.abuse(11)
async def test_an_upload_announced_as_too_large_is_not_read(gateway_port: int) -> None:
    """An upload over 200 MiB is refused by its announced length, before any of it is sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway_port)
    path = f"/v1/collections/{COLLECTION}/documents:upload?name=a.txt"
    writer.write(f"POST {path} HTTP/1.1\r\nhost: test\r\ncontent-type: text/plain\r\ncontent-length: 300000000\r\n\r\n".encode())
    status = await reader.readline()
    writer.close()
    assert status == b"HTTP/1.1 413 Payload Too Large\r\n"


async def test_content_is_passed_through_as_it_is(http: httpx.AsyncClient) -> None:
    """HttpBody answers, single or streamed, keep their type and bytes."""
    jwks = await http.get("/.well-known/jwks.json")
    assert (jwks.headers["content-type"], jwks.content) == ("application/jwk-set+json", b'{"keys":[]}')
    content = await http.get(f"/v1/documents/{COLLECTION}/content")
    assert (content.headers["content-type"], content.content) == ("text/plain", b"one two")


async def test_a_stream_is_server_sent_events(http: httpx.AsyncClient) -> None:
    """Each message of a server stream is one event."""
    async with http.stream("GET", f"/v1/operations/{COLLECTION}:watch") as response:
        assert response.headers["content-type"] == "text/event-stream"
        events = [line async for line in response.aiter_lines() if line]
    states = [json.loads(event.removeprefix("data: "))["operation"]["state"] for event in events]
    assert states == ["STATE_RUNNING", "STATE_SUCCEEDED"]

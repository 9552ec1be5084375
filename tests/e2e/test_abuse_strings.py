"""What users write that tries to be a header, markup, a terminal code or a line of a log is shown as text or refused."""

import asyncio
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import grpc
import httpx
import pytest
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.message import Message

from deploy.local.supervisor import Mesh
from semantik.auth.v1.auth_service_pb2 import LoginRequest, RegisterRequest
from semantik.collection.v1.collection_service_pb2 import CreateCollectionRequest, UpdateCollectionRequest
from semantik.collection.v1.document_service_pb2 import UploadDocumentRequest
from semantik.operation.v1.operation_pb2 import Operation
from tests.conftest import PASSWORD, REPEATS, Person
from tests.e2e.conftest import started
from tests.e2e.faces import method, over_grpc, over_http

FORGED = "forged-by-a-user"
HOSTILE = {
    "a header": f"a\r\nset-cookie: {FORGED}=1\r\n\r\nHTTP/1.1 200 OK\r\n\r\n<html>",
    "a log line": f'a\n{{"level":"error","event":"{FORGED}"}}\n2026-01-01T00:00:00.0Z [error    ] {FORGED}',
    "a NUL": f"a\x00{FORGED}",
    "a title": f"a\x1b]0;{FORGED}\x07",
    "a clipboard": f"a\x1b]52;c;{FORGED}\x07",
    "a link": f"a\x1b]8;;http://{FORGED}\x1b\\b\x1b]8;;\x1b\\",
    "a cleared screen": f"a\x1b[2J\x1b[H{FORGED}",
    "a code of eight bits": f"a\x9b2J\x9d0;{FORGED}\x9c",
    "a backspace": f"a\x08\x7f{FORGED}",
    "a line drawn over": f"{FORGED}\rb",
    "another order": f"a\u202egpj.{FORGED}\u2066",
    "no width": f"a\u200b\u2060\ufeff{FORGED}",
    "a line of Unicode": f"a\u2028{FORGED}\u2029\x85",
    "a page": f"<script>{FORGED}</script><img src=x onerror=alert(1)>",
    "markup of the terminal": f"[link=http://{FORGED}][blink]a[/]",
    "a format": f"%s%n{{0}}${{jndi:ldap://{FORGED}}}",
}
ACTIVE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028\u2029\u202e\u2066\u2060\ufeff]")
REFUSED = ("INVALID_ARGUMENT", "UNAUTHENTICATED", "ALREADY_EXISTS")


def _requests(text: str, number: int, collection: str) -> list[tuple[str, Message]]:
    """Return a request for each field in which a user writes."""
    account = {
        "username": f"hostile.{number}.{collection[-6:]}",
        "email": f"hostile.{number}.{collection[-6:]}@example.org",
        "password": PASSWORD,
    }
    upload = {"collection_id": collection, "name": f"{number}.txt", "content": HttpBody(data=b"text", content_type="text/plain")}
    return [
        ("auth.v1.AuthService.Register", RegisterRequest(**{**account, "username": text})),
        ("auth.v1.AuthService.Register", RegisterRequest(**{**account, "full_name": text})),
        ("auth.v1.AuthService.Register", RegisterRequest(**{**account, "email": text})),
        ("auth.v1.AuthService.Login", LoginRequest(username=text, password=PASSWORD)),
        ("collection.v1.CollectionService.CreateCollection", CreateCollectionRequest(name=f"{text}{number}")),
        ("collection.v1.CollectionService.CreateCollection", CreateCollectionRequest(name=f"of text {number}", description=text)),
        ("collection.v1.CollectionService.UpdateCollection", UpdateCollectionRequest(collection_id=collection, name=text)),
        ("collection.v1.CollectionService.UpdateCollection", UpdateCollectionRequest(collection_id=collection, description=text)),
        ("collection.v1.DocumentService.UploadDocument", UploadDocumentRequest(**{**upload, "name": text})),
        ("collection.v1.DocumentService.UploadDocument", UploadDocumentRequest(**{**upload, "request_id": text})),
    ]


async def _store(gateway: grpc.aio.Channel, http: httpx.AsyncClient, person: Person, collection: str) -> int:
    """Send every text in every field by both faces; return how many were sent."""
    count = 0
    for number, text in enumerate(HOSTILE.values()):
        for place, (name, request) in enumerate(_requests(text, number, collection)):
            # The hash of a password is dear; a description is stored as it is, and looked at below.
            share = 4 if "Auth" in name else 2
            if REPEATS == 1 and (number + place) % share and not getattr(request, "description", ""):
                continue
            signed = {} if "Auth" in name else {"authorization": f"Bearer {person.token}"}
            for refused in (
                await over_grpc(gateway, method(name), request, **signed),
                await over_http(http, method(name), request, **signed),
            ):
                assert refused.code in ("OK", *REFUSED), (name, text)
                assert not ACTIVE.search(refused.message), (name, text, refused.message)
            count += 2
    return count


def _shelf(shelf: Path) -> None:
    """Write files whose names and texts are hostile, as far as a name can be."""
    for number, text in enumerate(HOSTILE.values()):
        name = text.replace("\x00", "").replace("/", "\u2215")[:80]
        (shelf / f"{number} {name}.txt").write_text(f"whales {text}")


async def _shown(*arguments: str, **environment: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "semantik.command", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **environment},
    )
    output, _ = await process.communicate()
    return output.decode()


def _forged_lines(mesh: Mesh) -> dict[str, list[str]]:
    """Return the lines of logs that a user wrote: those with the word that begin as no line of a service does."""
    found = {}
    for log in mesh.home.logs.rglob("*.log*"):
        lines = [line for line in log.read_bytes().decode(errors="replace").split("\n") if FORGED in line]
        ours = re.compile(r"\s|-- |\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\.\d{3,}|\[\d{4}-")
        if bad := [line for line in lines if not ours.match(line) or "01-01T00:00:00.0Z" in line[:30] or ACTIVE.search(line)]:
            found[log.name] = bad
    return found


@pytest.mark.abuse(14, 35)
async def test_what_users_write_is_text_everywhere(
    mesh: Mesh,
    gateway: grpc.aio.Channel,
    http: httpx.AsyncClient,
    ada: Person,
    shelf: Path,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """In JSON it comes back as it was sent, the command prints no code of it, and no log has a line that it made."""
    collection = await ada.client.collections.create("hostile")
    record_property("variants", await _store(gateway, http, ada, collection.id))
    _shelf(shelf)
    papers = await ada.client.collections.create("papers")
    _, operation = await ada.client.sources.add(papers.id, str(shelf))
    assert (await ada.client.operations.wait(operation.id)).state == Operation.STATE_SUCCEEDED
    page = await http.get("/v1/collections", params={"page_size": 1000, "owned_only": "true"}, headers=ada.headers)
    assert {each["description"] for each in page.json()["collections"]} >= {text for text in HOSTILE.values() if "\x00" not in text}
    assert not [value for value in page.headers.values() if FORGED in value]
    environment = {
        "SEMANTIK_ADDRESS": str(http.base_url.netloc, "ascii"),
        "SEMANTIK_CONFIG_DIR": str(tmp_path),
        "SEMANTIK_PASSWORD": PASSWORD,
    }
    await (await started("login", ada.user.username, **environment)).communicate()
    commands = (
        ("collections", "list"),
        ("documents", "list", "-c", "papers"),
        ("search", f"whales {FORGED}", "-c", "papers", "-n", "30", "--full"),
    )
    for arguments, output in zip(commands, await asyncio.gather(*(_shown(*each, **environment) for each in commands)), strict=True):
        assert FORGED in output, arguments
        assert ACTIVE.findall(output) == [], arguments
    assert _forged_lines(mesh) == {}


HEADERS = [text.encode() for text in HOSTILE.values() if not set(text) & set("\r\n\x00")] + [b"\xff\xfe", b"a" * 2000]


async def _answer(http: httpx.AsyncClient, path: str, header: str, value: bytes, body: object) -> tuple[bytes, bytes]:
    """Send a request with a header that no client would send; return the head and the body of the answer."""
    content = json.dumps(body).encode()
    reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
    lines = [f"POST {path} HTTP/1.1".encode(), b"host: x", b"connection: close", header.encode() + b": " + value]
    writer.write(b"\r\n".join([*lines, b"content-length: %d" % len(content), b"", content]))
    head, _, rest = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return head, rest


@pytest.mark.abuse(35)
@pytest.mark.parametrize("header", ["user-agent", "x-correlation-id", "content-type", "traceparent", "accept"])
async def test_a_header_that_acts_is_text_or_refused(mesh: Mesh, http: httpx.AsyncClient, header: str) -> None:
    """It comes back in no header and makes no line of a log."""
    answers = await asyncio.gather(*(_answer(http, "/v1/auth:refresh", header, value, {"refreshToken": "nonsense"}) for value in HEADERS))
    for value, (head, rest) in zip(HEADERS, answers, strict=True):
        assert head.split(b" ")[1] in (b"400", b"401", b"404", b"415", b"431", b"504"), value
        assert (FORGED.encode() in head, b"HTTP/1.1" in rest) == (False, False), value
    assert _forged_lines(mesh) == {}


@pytest.mark.abuse(35)
async def test_the_program_of_a_session_is_what_was_sent(http: httpx.AsyncClient, ada: Person) -> None:
    """As text, and as one session each."""
    sent = HEADERS[:: 1 if REPEATS > 1 else 3]
    account = {"username": ada.user.username, "password": PASSWORD}
    answers = [await _answer(http, "/v1/auth:login", "user-agent", value, account) for value in sent]
    taken = sum(head.startswith(b"HTTP/1.1 200") for head, _ in answers)
    page = await http.get("/v1/users/me/sessions", params={"page_size": 1000}, headers=ada.headers)
    programs = [each["userAgent"] for each in page.json()["sessions"] if not each["isCurrent"]]
    texts = {value.decode(coding, errors="replace") for value in sent for coding in ("utf-8", "latin-1")}
    assert len(programs) == taken
    assert not [each for each in programs if not any(text.startswith(each) for text in texts)]

"""A hub on this machine, with as much of the real one's protocol as its library asks for, and with accidents to order."""

import hashlib
import json
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

_INFO = re.compile(r"/api/models/([^/]+/[^/]+)/revision/([^/]+)")
_FILE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
_STORED = re.compile(r"/stored/([^/]+/[^/]+)/(.+)")
_LARGE = (".safetensors", ".onnx", ".onnx_data", "tokenizer.json")


@dataclass
class Repository:
    """What lies on the hub under one name. ``sent`` alters what is sent of a file, after it was announced.

    ``gate`` holds the weights back, after their first half, until it is set.
    """

    files: dict[str, bytes]
    tags: tuple[str, ...] = ()
    languages: str | list[str] | None = None
    revisions: tuple[str, ...] = ("main", "v1")
    sent: dict[str, Callable[[bytes], bytes]] = field(default_factory=dict)
    gate: threading.Event | None = None

    @property
    def commit(self) -> str:
        return hashlib.sha1(b"".join(name.encode() + self.files[name] for name in sorted(self.files)), usedforsecurity=False).hexdigest()

    def info(self, name: str) -> dict[str, Any]:
        siblings = [self._sibling(path) for path in self.files]
        card = {"cardData": {"language": self.languages}} if self.languages else {}
        return {"id": name, "sha": self.commit, "tags": list(self.tags), "siblings": siblings, **card}

    def etag(self, path: str) -> str:
        """Return the SHA-256 of a large file, and the name that Git gives a small one."""
        content = self.files[path]
        if path.endswith(_LARGE):
            return hashlib.sha256(content).hexdigest()
        return hashlib.sha1(b"blob %d\0%b" % (len(content), content), usedforsecurity=False).hexdigest()

    def _sibling(self, path: str) -> dict[str, Any]:
        size = len(self.files[path])
        if path.endswith(_LARGE):
            return {
                "rfilename": path,
                "size": size,
                "blobId": "0" * 40,
                "lfs": {"size": size, "sha256": self.etag(path), "pointerSize": 134},
            }
        return {"rfilename": path, "size": size, "blobId": self.etag(path)}


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    authorization: str


class Hub(ThreadingHTTPServer):
    """Serves ``repositories`` by name; large files lie on another host, as the real hub's do. ``requests`` is what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, Repository] = {}
        self.requests: list[Request] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def storage(self) -> str:
        return f"http://localhost:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: downloads are broken off here on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_GET(self) -> None:
        self.server.requests.append(Request(self.command, self.path, self.headers.get("authorization", "")))
        path = urlsplit(self.path).path
        if found := _INFO.fullmatch(path):
            self._info(*found.groups())
        elif found := _FILE.fullmatch(path):
            self._file(*found.groups())
        elif found := _STORED.fullmatch(path):
            name, place = found.groups()
            self._send(self.server.repositories[name], place, {})
        else:
            self._answer(404, b"")

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass

    def _info(self, name: str, revision: str) -> None:
        repository = self._repository(name, revision)
        if repository is not None:
            self._answer(200, json.dumps(repository.info(name)).encode(), {"Content-Type": "application/json"})

    def _file(self, name: str, revision: str, place: str) -> None:
        repository = self._repository(name, revision)
        if repository is None:
            return
        headers = {"X-Repo-Commit": repository.commit, "ETag": f'"{repository.etag(place)}"'}
        if place.endswith(_LARGE):
            headers |= {"X-Linked-Etag": headers["ETag"], "X-Linked-Size": str(len(repository.files[place]))}
            self._answer(302, b"", headers | {"Location": f"{self.server.storage}/stored/{name}/{place}"})
        else:
            self._send(repository, place, headers)

    def _repository(self, name: str, revision: str) -> Repository | None:
        repository = self.server.repositories.get(name)
        if repository is None:
            self._answer(404, b"", {"X-Error-Code": "RepoNotFound"})
        elif revision not in (*repository.revisions, repository.commit):
            self._answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
            return None
        return repository

    def _send(self, repository: Repository, place: str, headers: dict[str, str]) -> None:
        content = repository.files[place]
        if self.command == "GET":
            content = repository.sent.get(place, bytes)(content)
        if repository.gate is None or self.command == "HEAD" or not place.endswith((".safetensors", ".onnx")):
            self._answer(200, content, headers)
            return
        self._head(200, len(content), headers)
        half = len(content) // 2
        self.wfile.write(content[:half])
        repository.gate.wait(30)
        self.wfile.write(content[half:])

    def _answer(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self._head(status, len(content), headers or {})
        if self.command == "GET":
            self.wfile.write(content)

    def _head(self, status: int, size: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(size)}.items():
            self.send_header(name, value)
        self.end_headers()


def closed_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])

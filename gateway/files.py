"""Files that the gateway serves: each has a route of its own, so nothing else below their folder can be reached."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

_FILE_SERVER = "type.googleapis.com/envoy.extensions.filters.http.file_server.v3.FileServerConfig"
_MUTATION = "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
_OTHER = "application/octet-stream"
# The build names what it makes by its content: name-HASH.ext.
_HASHED = re.compile(r"-[\w-]{8}\.\w+$")
_FOREVER = "public, max-age=31536000, immutable"
_HOUR = "public, max-age=3600"
_ALWAYS_ASKED = "no-cache"
_READ = {"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}}
_BY_A_BROWSER = {"name": "accept", "string_match": {"contains": "text/html"}}
# Below these a page's address is a mistake for an RPC's.
_RPCS = {"name": ":path", "string_match": {"safe_regex": {"regex": r"/(v1|openai|\.well-known)(/.*)?"}}, "invert_match": True}
# The sources of what a page may load; "default" is everything not named.
_SOURCES = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' blob: data:",
    "font-src": "'self' data:",
    "connect-src": "'self'",
    "worker-src": "'self' blob:",
    "manifest-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
_SECURITY = {
    "content-security-policy": "; ".join(f"{name} {allowed}" for name, allowed in _SOURCES.items()),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


def open_file(path: Path) -> dict[str, Any]:
    """Return the route of one file at the root that pages of every origin may read."""
    return _file(path.parent, path, {"access-control-allow-origin": "*", "cross-origin-resource-policy": "cross-origin"})


def pages_of(folder: Path) -> list[dict[str, Any]]:
    """Return the routes of a folder's files below its name, which alone is the address of its ``index.html``."""
    found = sorted(path for path in folder.iterdir() if path.name != "index.html")
    headers = {**_SECURITY, "cache-control": _HOUR, "content-type": _TYPES[".html"]}
    page = {
        "match": {"path": f"/{folder.name}", "headers": [_READ]},
        "direct_response": {"status": 200, "body": {"inline_string": (folder / "index.html").read_text()}},
        "response_headers_to_add": [_header(name, value) for name, value in headers.items()],
    }
    return [page, *(_file(folder.parent, path) for path in found)]


def routes(root: Path) -> list[dict[str, Any]]:
    """Return the routes of an app's built files, ``index.html`` among them, which also answers for every page's address."""
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.name != "index.html")
    return [*(_file(root, path) for path in files), *_index((root / "index.html").read_text())]


def _file(root: Path, path: Path, more: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any]:
    url = f"/{path.relative_to(root).as_posix()}"
    kind = _TYPES.get(path.suffix, _OTHER)
    # The filter maps a folder; the route lets only this file's address through to it.
    served = {
        "@type": _FILE_SERVER,
        "manager_config": {"id": "files", "thread_pool": {"thread_count": 1}},
        "path_mappings": [{"request_path_prefix": url[: -len(path.name)], "file_path_prefix": f"{path.parent}/"}],
        "default_content_type": kind,
    }
    headers = {**_SECURITY, "cache-control": _FOREVER if _HASHED.search(path.name) else _HOUR, **more}
    mutations = [{"append": _header(name, value)} for name, value in headers.items()]
    return {
        "match": {"path": url, "headers": [_READ]},
        "direct_response": {"status": 404},
        "typed_per_filter_config": {
            "envoy.filters.http.file_server": served,
            "envoy.filters.http.header_mutation": {"@type": _MUTATION, "mutations": {"response_mutations": mutations}},
        },
    }


def _index(page: str) -> Iterator[dict[str, Any]]:
    tag = f'"{hashlib.sha256(page.encode()).hexdigest()[:16]}"'
    headers = {**_SECURITY, "cache-control": _ALWAYS_ASKED, "etag": tag, "vary": "accept"}
    match = {"prefix": "/", "headers": [_READ, _BY_A_BROWSER, _RPCS]}
    known = {"name": "if-none-match", "string_match": {"contains": tag}}
    added = [_header(name, value) for name, value in headers.items()]
    yield {
        "match": {**match, "headers": [*match["headers"], known]},
        "direct_response": {"status": 304},
        "response_headers_to_add": added,
    }
    yield {
        "match": match,
        "direct_response": {"status": 200, "body": {"inline_string": page}},
        "response_headers_to_add": [*added, _header("content-type", _TYPES[".html"])],
    }


def _header(name: str, value: str) -> dict[str, Any]:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}

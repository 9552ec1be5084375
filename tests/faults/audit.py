"""The common check after every fault: Postgres, the vector store, the objects and the users' promises agree."""

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import psutil
import psycopg

from libs.rpc import channels
from libs.rpc.mesh import MeshIdentity
from semantik.client import SemantikError
from semantik.search.v1 import index_internal_service_pb2 as messages
from semantik.search.v1.index_internal_service_pb2_grpc import IndexInternalServiceStub
from semantik.search.v1.index_pb2 import Point
from services.search.passage import point_id
from tests.faults import sql
from tests.faults.ledger import Ledger
from tests.faults.mesh import LocalMesh
from tests.faults.waiting import CaseFailedError, until

if TYPE_CHECKING:
    # The asynchronous face of a stub exists for type checkers only.
    from semantik.search.v1.index_internal_service_pb2_grpc import IndexInternalServiceAsyncStub

REST_SECONDS = 120.0
_PUBLISHED = Point.VISIBILITY_PUBLISHED
_AWAY_SECONDS = 60.0
_MOST_SHOWN = 4
# Where onnxruntime keeps the id of its session, one file whatever happens.
_ONNX = ".ses"


@dataclass(frozen=True, order=True)
class Finding:
    """One thing that does not agree. ``kind`` is what the result counts by."""

    kind: str
    text: str


async def at_rest(mesh: LocalMesh, seconds: float = REST_SECONDS) -> list[Finding]:
    """Wait until no work is left; what never ends is found."""
    left: list[dict[str, Any]] = []

    async def is_quiet() -> bool:
        nonlocal left
        with contextlib.suppress(psycopg.OperationalError):
            left = await mesh.rows(sql.UNFINISHED)
            return not left and not await mesh.rows(sql.UNSENT)
        return False

    try:
        await until("all work has ended", seconds, is_quiet, poll=0.3)
    except CaseFailedError:
        return [
            Finding("unfinished", f"{row['kind']} {row['id']} is {row['state']} (attempt {row['attempt']}) after {seconds:.0f} s of quiet")
            for row in left
        ] or [Finding("unfinished", f"work was not sent to operation within {seconds:.0f} s of quiet")]
    return []


async def audit(mesh: LocalMesh, ledger: Ledger) -> list[Finding]:
    """Return everything that does not agree. The mesh must be ready and at rest."""
    async with asyncio.timeout(_AWAY_SECONDS):
        while True:
            try:
                found = await _points(mesh)
            except grpc.aio.AioRpcError as error:
                # A process that was ready a moment ago may have its peers yet to find.
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                await asyncio.sleep(0.5)
            else:
                break
    found += await _operations(mesh, ledger)
    found += await _documents(mesh)
    found += await _objects(mesh)
    found += await _promises(mesh, ledger)
    found += await _processes(mesh)
    found += [Finding("internal", f"a client got {text}") for text in ledger.internal]
    found += [Finding("observed", f"{row['what']}: {row['subject']}") for row in await mesh.rows(sql.SEEN)]
    found += await asyncio.to_thread(_logs, mesh, ledger)
    return sorted(set(found))


async def _operations(mesh: LocalMesh, ledger: Ledger) -> list[Finding]:
    known = {row["id"] for row in await mesh.rows(sql.KNOWN, {"ids": list(ledger.operations)})}
    return [
        Finding("lost_operation", f"{what} ({key}) was accepted and never existed")
        for key, what in ledger.operations.items()
        if key not in known
    ]


async def _documents(mesh: LocalMesh) -> list[Finding]:
    found = [Finding("open", f"{row['path']} is {row['state']}") for row in await mesh.rows(sql.OPEN)]
    found += [Finding("metadata", f"{row['path']} shows what was noted before") for row in await mesh.rows(sql.STALE_METADATA)]
    found += [Finding("state", f"collection {row['name']} is {row['state']} at rest") for row in await mesh.rows(sql.BUSY)]
    for row in [*await mesh.rows(sql.COLLECTION_COUNTERS), *await mesh.rows(sql.SOURCE_COUNTERS)]:
        counts = ", ".join(f"{name} {value}" for name, value in row.items() if name != "subject")
        found.append(Finding("counter", f"{row['subject']}: {counts}"))
    for row in await mesh.rows(sql.CHUNKS):
        found.append(
            Finding("chunks", f"{row['subject']} version {row['content_version']} has {row['chunks']} chunks, not {row['expected']}")
        )
    found += [Finding("left", row["subject"]) for row in await mesh.rows(sql.LEFT)]
    return found


@asynccontextmanager
async def indexes(mesh: LocalMesh) -> "AsyncIterator[IndexInternalServiceAsyncStub]":
    """Yield the stub of the service that owns the vector store, as a worker would call it."""
    identity = MeshIdentity("faults", (mesh.home.keys / "mesh.pem").read_bytes())
    async with channels.connect(f"127.0.0.1:{mesh.process('search').port}", "search", identity) as channel:
        yield IndexInternalServiceStub(channel)


async def _points(mesh: LocalMesh) -> list[Finding]:
    """Compare every index in use with the rows: each expected point once, published, and nothing else."""
    expected: dict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
    for row in await mesh.rows(sql.EXPECTED):
        expected[row["qdrant_name"]][row["document_id"]] = (row["content_version"], row["chunk_count"])
    known = await mesh.rows(sql.INDEXES)
    found: list[Finding] = []
    async with indexes(mesh) as stub:
        for row in known:
            points = await _listed(stub, row["qdrant_name"])
            found += [
                Finding(each.kind, f"{row['name']}: {each.text}")
                for each in _compared(row["qdrant_name"], expected[row["qdrant_name"]], points)
            ]
        names = set((await stub.ListIndexes(messages.ListIndexesRequest(), timeout=20)).index_names)
    ours = {row["qdrant_name"] for row in known}
    return found + [Finding("orphan", f"index {name} belongs to no collection") for name in names - ours]


async def _listed(stub: "IndexInternalServiceAsyncStub", name: str) -> list[Point]:
    points: list[Point] = []
    try:
        async for answer in stub.ListPoints(messages.ListPointsRequest(index_name=name), timeout=60):
            points += answer.points
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:  # a collection that never had a document has no index
            raise
    return points


def _compared(name: str, expected: dict[str, tuple[int, int]], points: Iterable[Point]) -> Iterable[Finding]:
    seen: Counter[tuple[str, int, int]] = Counter()
    for point in points:
        version, chunks = expected.get(point.document_id, (0, 0))
        key = (point.document_id, point.content_version, point.ordinal)
        where = f"document {point.document_id} version {point.content_version} passage {point.ordinal}"
        seen[key] += 1
        if not version or (point.content_version == version and point.ordinal >= chunks):
            yield Finding("orphan", f"a point of {where}, which is not to be indexed")
        elif point.content_version != version:
            yield Finding("stale", f"a point of {where}, where version {version} is indexed")
        elif point.visibility != _PUBLISHED:
            yield Finding("missing", f"the point of {where} is {Point.Visibility.Name(point.visibility)}")
        if point.id != point_id(name, *key):
            yield Finding("duplicate", f"the point of {where} has the id {point.id}")
        if seen[key] > 1:
            yield Finding("duplicate", f"two points of {where}")
    for document_id, (version, chunks) in expected.items():
        missing = [ordinal for ordinal in range(chunks) if not seen[document_id, version, ordinal]]
        if missing:
            yield Finding("missing", f"document {document_id} version {version} lacks passages {missing[:10]}")


async def _objects(mesh: LocalMesh) -> list[Finding]:
    owned = {row["object_key"] for row in await mesh.rows(sql.ARTIFACT_KEYS)}
    leaving = {row["key"]: row["is_late"] for row in await mesh.rows(sql.OBJECT_DELETIONS)}
    files = {str(path.relative_to(mesh.home.objects)) for path in mesh.objects.files()}
    found = [Finding("object", f"object {key} has no row") for key in files - owned - leaving.keys()]
    found += [Finding("object", f"the row of {key} has no object") for key in owned - files]
    found += [Finding("object", f"object {key} should be deleted by now") for key, is_late in leaving.items() if is_late]
    left = [path for path in mesh.temporary.files() if path.name != _ONNX]
    return found + [Finding("temporary", f"{path.relative_to(mesh.temporary.path)} was left") for path in left]


async def _promises(mesh: LocalMesh, ledger: Ledger) -> list[Finding]:
    """Look for each acknowledged upload, and for each deleted document in vain."""
    rows = {row["id"]: row for row in await mesh.rows(sql.DOCUMENTS)}
    found = []
    for upload in ledger.uploads.values():
        row = rows.get(upload.document_id)
        if row is None:
            found.append(Finding("lost_upload", f"{upload.name} was accepted and has no row"))
        elif row["content_sha256"] != upload.content_sha256:
            found.append(Finding("lost_upload", f"{upload.name} was accepted and is {row['state']} with other content"))
        elif row["state"] == "FAILED" or row["state"] == "DELETED":
            found.append(Finding("lost_upload", f"{upload.name} was accepted and is {row['state']} ({row['reason']})"))
    found += [Finding("found_deleted", text) for text in await deleted_and_found(ledger)]
    return found


async def deleted_and_found(ledger: Ledger) -> list[str]:
    """Search for every deleted document; return what is found."""
    found = []
    for deletion in tuple(ledger.deleted.values()):
        with contextlib.suppress(SemantikError):
            if await deletion.person.finds(deletion.collection_id, deletion.document_id, deletion.word):
                found.append(f"document {deletion.document_id} is found after its deletion")
    return found


async def _processes(mesh: LocalMesh) -> list[Finding]:
    """Look for processes that no process of the mesh has as its child any more."""

    def strays() -> list[str]:
        family = {mesh.supervisor}
        with contextlib.suppress(psutil.NoSuchProcess):
            family |= {child.pid for child in psutil.Process(mesh.supervisor).children(recursive=True)}
        return [f"{process.pid} {' '.join(process.cmdline())[:100]}" for process in mesh.alive() if process.pid not in family]

    return [Finding("process", f"a process was left: {text}") for text in await asyncio.to_thread(strays)]


def _logs(mesh: LocalMesh, ledger: Ledger) -> list[Finding]:
    """Look for secrets in the logs."""
    # Of a key in several lines the longest one, which is as telling as the whole.
    secrets = {path.name: max(path.read_bytes().split(), key=len) for path in mesh.home.keys.rglob("*") if path.is_file()}
    secrets |= {f"a user's password {number}": secret.encode() for number, secret in enumerate(sorted(ledger.secrets))}
    found = []
    for log in mesh.home.logs.glob("*.log*"):
        content = log.read_bytes()
        found += [Finding("secret", f"{name} is in {log.name}") for name, secret in secrets.items() if secret in content]
    return found


def summary(found: Iterable[Finding]) -> str:
    """Return the findings in a few lines, by kind."""
    by_kind: dict[str, list[str]] = defaultdict(list)
    for finding in found:
        by_kind[finding.kind].append(finding.text)
    lines = []
    for kind, texts in sorted(by_kind.items()):
        rest = f" (and {len(texts) - _MOST_SHOWN} more)" if len(texts) > _MOST_SHOWN else ""
        lines.append(f"{kind}: {'; '.join(texts[:_MOST_SHOWN])}{rest}")
    return "\n".join(lines)

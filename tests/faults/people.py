"""Users of the mesh, through the SDK alone; what they are promised goes into the ledger."""

import asyncio
import hashlib
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from semantik.client import Client, SemantikError
from semantik.operation.v1.operation_pb2 import Operation
from tests.faults.ledger import Deletion, Ledger, Upload

_PASSWORD = "correct horse battery staple of faults"
_PASSING = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "RESOURCE_EXHAUSTED")
_NEVER = ("INTERNAL", "UNKNOWN", "UNIMPLEMENTED", "DATA_LOSS")
_T = TypeVar("_T")


class Person:
    """One signed-in user."""

    def __init__(self, name: str, client: Client, ledger: Ledger, scratch: Path) -> None:
        self.name = name
        self.client = client
        self.ledger = ledger
        self._scratch = scratch

    async def call(self, what: str, made: Callable[[], Awaitable[_T]]) -> _T:
        """Make a call once; an error that no client may see is noted."""
        try:
            return await made()
        except SemantikError as error:
            if error.code in _NEVER:
                self.ledger.internal.append(f"{what}: {error.code} {error.message} ({error.correlation_id})")
            raise

    async def persist(self, what: str, made: Callable[[], Awaitable[_T]], seconds: float = 90.0) -> _T:
        """Make a call until it is answered, as a patient program would: while the mesh is away it is repeated."""
        end = time.monotonic() + seconds
        while True:
            try:
                return await self.call(what, made)
            except SemantikError as error:
                if error.code not in _PASSING or time.monotonic() > end:
                    raise
            await asyncio.sleep(0.2)

    async def collection(self, name: str) -> str:
        return (await self.persist("create a collection", lambda: self.client.collections.create(name))).id

    async def upload(self, collection_id: str, name: str, text: str, *, is_patient: bool = True) -> tuple[Upload, str]:
        """Upload a text; return what was promised and the id of the operation."""
        content = text.encode()
        path = self._scratch / uuid.uuid4().hex
        path.write_bytes(content)
        request_id = str(uuid.uuid4())
        try:
            document, operation = await (self.persist if is_patient else self.call)(
                f"upload {name}", lambda: self.client.documents.upload(collection_id, path, name, request_id=request_id)
            )
        finally:
            path.unlink()
        upload = Upload(collection_id, document.id, name, hashlib.sha256(content).hexdigest())
        self.ledger.uploaded(upload)
        self.ledger.operations[operation.id] = f"upload {name}"
        return upload, operation.id

    async def delete(self, collection_id: str, document_id: str, word: str, *, is_patient: bool = True) -> str:
        """Delete a document, of which ``word`` must not be found from now on; return the operation's id."""
        operation = await (self.persist if is_patient else self.call)(
            "delete a document", lambda: self.client.documents.delete(document_id)
        )
        self.ledger.deleted[document_id] = Deletion(self, collection_id, document_id, word)
        self.ledger.uploads = {key: upload for key, upload in self.ledger.uploads.items() if upload.document_id != document_id}
        self.ledger.operations[operation.id] = f"delete {document_id}"
        return operation.id

    async def add(self, collection_id: str, folder: Path) -> tuple[str, str]:
        """Add a folder; return the source's and the operation's id."""
        request_id = str(uuid.uuid4())
        source, operation = await self.persist(
            f"add {folder.name}", lambda: self.client.sources.add(collection_id, str(folder), request_id=request_id)
        )
        self.ledger.operations[operation.id] = f"index {folder.name}"
        return source.id, operation.id

    async def sync(self, source_id: str) -> str:
        request_id = str(uuid.uuid4())
        operation = await self.persist("sync", lambda: self.client.sources.sync(source_id, request_id))
        self.ledger.operations[operation.id] = f"sync {source_id}"
        return operation.id

    async def remove(self, source_id: str) -> str:
        operation = await self.persist("remove a source", lambda: self.client.sources.remove(source_id))
        self.ledger.operations[operation.id] = f"remove {source_id}"
        return operation.id

    async def cancel(self, operation_id: str) -> Operation:
        return await self.persist("cancel", lambda: self.client.operations.cancel(operation_id))

    async def get(self, operation_id: str) -> Operation:
        return await self.persist("get an operation", lambda: self.client.operations.get(operation_id))

    async def ended(self, operation_id: str, seconds: float) -> Operation:
        """Watch an operation to its end; raises TimeoutError after ``seconds``."""
        async with asyncio.timeout(seconds):
            return await self.persist("watch", lambda: self.client.operations.wait(operation_id), seconds)

    async def finds(self, collection_id: str, document_id: str, word: str) -> bool:
        """Tell whether a search for its own word finds a document."""
        answer = await self.persist(
            "search", lambda: self.client.search(word, [collection_id], mode="keyword", limit=5, document_ids=[document_id])
        )
        return any(hit.document_id == document_id for hit in answer.hits)

    async def names(self, collection_id: str) -> dict[str, str]:
        """Return the ids of a collection's documents by path."""

        async def listed() -> dict[str, str]:
            return {document.path: document.id async for document in self.client.documents.list(collection_id)}

        return await self.persist("list documents", listed)


@asynccontextmanager
async def registered(address: str, name: str, ledger: Ledger, scratch: Path) -> AsyncIterator[Person]:
    """Register a user for the length of the block."""
    async with Client(address) as client:
        person = Person(name, client, ledger, scratch)
        ledger.secrets.add(_PASSWORD)
        await person.persist("register", lambda: client.accounts.register(name, f"{name}@example.org", _PASSWORD))
        yield person

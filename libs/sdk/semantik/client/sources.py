"""Sources: places from which a collection is filled."""

from collections.abc import AsyncIterator, Sequence

from semantik.client.session import Session
from semantik.collection.v1 import source_pb2, source_service_pb2, source_service_pb2_grpc
from semantik.operation.v1 import operation_pb2


class Sources:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._stub = source_service_pb2_grpc.SourceServiceStub(session.channel)

    async def add(
        self,
        collection_id: str,
        path: str,
        *,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        hidden: bool = False,
        ignored: bool = False,
        secrets: bool = False,
        request_id: str = "",
        operator_capability: str = "",
    ) -> tuple[source_pb2.Source, operation_pb2.Operation]:
        """Add a directory or file of the server's machine and start indexing it.

        ``include`` and ``exclude`` are patterns as in git's ignore files. ``hidden``, ``ignored`` and ``secrets`` ask for what is
        left out otherwise: names with a dot, what ignore files name and folders of dependencies, and what looks like a secret.
        ``operator_capability`` is for who runs the mesh on this machine: it allows what lies outside the allowed roots.
        """
        directory = source_pb2.DirectoryConfig(path=path, include=include, exclude=exclude, hidden=hidden, ignored=ignored, secrets=secrets)
        request = source_service_pb2.AddSourceRequest(
            collection_id=collection_id, directory=directory, request_id=request_id, operator_capability=operator_capability
        )
        answer = await self._session.call(self._stub.AddSource, request)
        return answer.source, answer.operation

    async def list(self, collection_id: str) -> AsyncIterator[source_pb2.Source]:
        """Yield a collection's sources, newest first."""
        request = source_service_pb2.ListSourcesRequest(collection_id=collection_id)
        while True:
            answer = await self._session.call(self._stub.ListSources, request)
            for source in answer.sources:
                yield source
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token

    async def get(self, source_id: str) -> source_pb2.Source:
        """Return one source."""
        return (await self._session.call(self._stub.GetSource, source_service_pb2.GetSourceRequest(source_id=source_id))).source

    async def update(
        self, source_id: str, directory: source_pb2.DirectoryConfig, *, request_id: str = "", operator_capability: str = ""
    ) -> tuple[source_pb2.Source, operation_pb2.Operation]:
        """Give a source the settings ``directory``, all of them, and read it again: what it no longer selects is removed."""
        request = source_service_pb2.UpdateSourceRequest(
            source_id=source_id, directory=directory, request_id=request_id, operator_capability=operator_capability
        )
        answer = await self._session.call(self._stub.UpdateSource, request)
        return answer.source, answer.operation

    async def sync(self, source_id: str, request_id: str = "") -> operation_pb2.Operation:
        """Index what has changed in a source."""
        request = source_service_pb2.SyncSourceRequest(source_id=source_id, request_id=request_id)
        return (await self._session.call(self._stub.SyncSource, request)).operation

    async def remove(self, source_id: str) -> operation_pb2.Operation:
        """Remove a source and its documents; no search that starts after this returns finds them."""
        return (await self._session.call(self._stub.RemoveSource, source_service_pb2.RemoveSourceRequest(source_id=source_id))).operation

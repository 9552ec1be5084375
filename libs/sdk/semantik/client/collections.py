"""Collections: sets of documents that are searched together."""

from collections.abc import AsyncIterator

from semantik.client.errors import SemantikError
from semantik.client.session import Session
from semantik.collection.v1 import collection_pb2, collection_service_pb2, collection_service_pb2_grpc
from semantik.embedding.v1 import model_pb2
from semantik.operation.v1 import operation_pb2


class Collections:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._stub = collection_service_pb2_grpc.CollectionServiceStub(session.channel)

    async def create(
        self,
        name: str,
        *,
        description: str = "",
        is_public: bool = False,
        model: str = "",
        precision: "model_pb2.Model.Precision.ValueType" = model_pb2.Model.PRECISION_UNSPECIFIED,
        chunk_size: int | None = None,
        chunk_overlap: int | None = None,
        language: str = "",
    ) -> collection_pb2.Collection:
        """Create an empty collection, by default with the default model in its default precision.

        The chunk size and overlap are in tokens, 200 and 40 by default. ``language`` is a code such as ``de``; the language of most
        documents by default.
        """
        request = collection_service_pb2.CreateCollectionRequest(
            name=name,
            description=description,
            is_public=is_public,
            model=model,
            precision=precision,
            chunk_size=chunk_size,
            chunk_overlap=chunk_overlap,
            language=language,
        )
        return (await self._session.call(self._stub.CreateCollection, request)).collection

    async def get(self, collection_id: str) -> collection_pb2.Collection:
        request = collection_service_pb2.GetCollectionRequest(collection_id=collection_id)
        return (await self._session.call(self._stub.GetCollection, request)).collection

    async def named(self, name: str) -> collection_pb2.Collection:
        """Return the collection of this name, preferably the caller's own; raises SemantikError NOT_FOUND."""
        collections = [collection async for collection in self.list(name=name)]
        collections.sort(key=lambda collection: -collection.role)
        if not collections:
            raise SemantikError("NOT_FOUND", "COLLECTION_NOT_FOUND", f"there is no collection named {name!r}", {"name": name})
        return collections[0]

    async def list(self, name: str = "", *, owned_only: bool = False) -> AsyncIterator[collection_pb2.Collection]:
        """Yield the collections the caller may read, newest first."""
        request = collection_service_pb2.ListCollectionsRequest(name=name, owned_only=owned_only)
        while True:
            answer = await self._session.call(self._stub.ListCollections, request)
            for collection in answer.collections:
                yield collection
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token

    async def update(
        self,
        collection_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        is_public: bool | None = None,
        language: str | None = None,
    ) -> collection_pb2.Collection:
        """Update the values that are not None; an empty ``language`` is detected from now on."""
        request = collection_service_pb2.UpdateCollectionRequest(
            collection_id=collection_id, name=name, description=description, is_public=is_public, language=language
        )
        return (await self._session.call(self._stub.UpdateCollection, request)).collection

    async def delete(self, collection_id: str) -> operation_pb2.Operation:
        """Delete a collection and everything in it; returns the operation that does so."""
        request = collection_service_pb2.DeleteCollectionRequest(collection_id=collection_id)
        return (await self._session.call(self._stub.DeleteCollection, request)).operation

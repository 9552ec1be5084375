"""The client for scripts and notebooks: the members and methods of ``Client``, which block."""

from types import TracebackType
from typing import Self

from semantik.auth.v1 import session_pb2
from semantik.client.client import Client
from semantik.client.sync.accounts import Accounts
from semantik.client.sync.collections import Collections
from semantik.client.sync.documents import Documents
from semantik.client.sync.embedding import Embedding
from semantik.client.sync.evaluations import Evaluations
from semantik.client.sync.loop import Loop
from semantik.client.sync.models import Models
from semantik.client.sync.operations import Operations
from semantik.client.sync.search import Search
from semantik.client.sync.sources import Sources
from semantik.client.tokens import TokenStore


class SyncClient:
    """Talks to Semantik at ``address`` as ``Client`` does, from any thread, also where an event loop runs already.

    What is a coroutine there returns its result here; what is an asynchronous iterator there is an iterator here, which fetches
    items as they are asked for. Everything raises SemantikError.
    """

    def __init__(
        self,
        address: str = "127.0.0.1:8080",
        tokens: session_pb2.Tokens | None = None,
        *,
        tls: bool = False,
        token_store: TokenStore | None = None,
    ) -> None:
        async def opened() -> Client:
            return Client(address, tokens, tls=tls, token_store=token_store)

        self._loop = Loop()
        self._client = self._loop.run(opened())
        self.accounts = Accounts(self._loop, self._client.accounts)
        self.collections = Collections(self._loop, self._client.collections)
        self.sources = Sources(self._loop, self._client.sources)
        self.documents = Documents(self._loop, self._client.documents)
        self.operations = Operations(self._loop, self._client.operations)
        self.embedding = Embedding(self._loop, self._client.embedding)
        self.models = Models(self._loop, self._client.models)
        self.search = Search(self._loop, self._client.search)
        self.evaluations = Evaluations(self._loop, self._client.evaluations)

    @property
    def tokens(self) -> session_pb2.Tokens | None:
        """The tokens of the sign-in; None before one."""
        return self._client.session.tokens

    def close(self) -> None:
        """Close the connection and end the thread behind it; a second time has no effect."""
        if self._loop.is_open:
            self._loop.run(self._client.__aexit__(None, None, None))
            self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

"""The client: one channel to the gateway and one member for each noun."""

import asyncio
import json
import math
from types import TracebackType
from typing import Self

import grpc

from semantik import policy
from semantik.address import parsed
from semantik.auth.v1 import auth_service_pb2, session_pb2, user_service_pb2
from semantik.client.accounts import Accounts
from semantik.client.collections import Collections
from semantik.client.documents import Documents
from semantik.client.embedding import Embedding
from semantik.client.errors import SemantikError
from semantik.client.evaluations import Evaluations
from semantik.client.models import Models
from semantik.client.operations import Operations
from semantik.client.search import Search
from semantik.client.session import Session
from semantik.client.sources import Sources
from semantik.client.tokens import MemoryTokens, TokenStore
from semantik.collection.v1 import collection_service_pb2, document_service_pb2, source_service_pb2
from semantik.embedding.v1 import embedding_service_pb2, model_service_pb2, open_ai_service_pb2
from semantik.operation.v1 import operation_service_pb2
from semantik.search.v1 import evaluation_service_pb2, judged_set_service_pb2, search_service_pb2

_MESSAGE_BYTES = 8 * 1024 * 1024
_ATTEMPTS = 5
_LONGEST_WAIT_SECONDS = 2.0
_CONNECT_SECONDS = 5.0
_REFUSED_SECONDS = 0.7
_FIRST_RECONNECT_MILLISECONDS = 200
_CONTRACT = (
    auth_service_pb2,
    user_service_pb2,
    collection_service_pb2,
    source_service_pb2,
    document_service_pb2,
    operation_service_pb2,
    embedding_service_pb2,
    model_service_pb2,
    open_ai_service_pb2,
    search_service_pb2,
    judged_set_service_pb2,
    evaluation_service_pb2,
)


class Client:
    """Talks to Semantik at ``address``: ``host:port`` of the gateway, or a URL, of which https means ``tls``.

    ``tokens`` continue an earlier sign-in. A ``token_store`` keeps them instead, where processes share a sign-in. Calls that
    change nothing are repeated when the server is away for a moment. All methods raise SemantikError.
    """

    def __init__(
        self,
        address: str = "127.0.0.1:8080",
        tokens: session_pb2.Tokens | None = None,
        *,
        tls: bool = False,
        token_store: TokenStore | None = None,
    ) -> None:
        self._address = parsed(address)
        target, options = self._address.target, _options()
        self._channel = (
            grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(), options)
            if tls or self._address.is_tls
            else grpc.aio.insecure_channel(target, options)
        )
        self.session = Session(self._channel, token_store or MemoryTokens(tokens))
        self.accounts = Accounts(self.session)
        self.collections = Collections(self.session)
        self.sources = Sources(self.session)
        self.documents = Documents(self.session)
        self.operations = Operations(self.session)
        self.embedding = Embedding(self.session)
        self.models = Models(self.session)
        self.search = Search(self.session)
        self.evaluations = Evaluations(self.session)

    async def connect(self) -> None:
        """Connect now instead of with the first call; raises UNAVAILABLE if nothing answers, within a second where that is refused."""
        refused = grpc.ChannelConnectivity.TRANSIENT_FAILURE
        try:
            async with asyncio.timeout(_CONNECT_SECONDS) as limit:
                while (state := self._channel.get_state(try_to_connect=True)) != grpc.ChannelConnectivity.READY:
                    if state == refused:  # gRPC tries again by itself: the gateway may be restarting
                        limit.reschedule(min(limit.when() or math.inf, asyncio.get_running_loop().time() + _REFUSED_SECONDS))
                    await self._channel.wait_for_state_change(state)
        except TimeoutError:
            raise SemantikError("UNAVAILABLE", "", f"nothing answers at {self._address.name}") from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._channel.close()


def _options() -> list[tuple[str, str | int]]:
    services = [f"{file.DESCRIPTOR.package}.{name}" for file in _CONTRACT for name in file.DESCRIPTOR.services_by_name]
    config = {"methodConfig": policy.retries(services, _ATTEMPTS, _LONGEST_WAIT_SECONDS)}
    return [
        ("grpc.service_config", json.dumps(config)),
        ("grpc.max_receive_message_length", _MESSAGE_BYTES),
        ("grpc.max_send_message_length", _MESSAGE_BYTES),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.initial_reconnect_backoff_ms", _FIRST_RECONNECT_MILLISECONDS),
        ("grpc.primary_user_agent", "semantik-sdk/0.1.0"),
    ]

"""The Python SDK: ``async with Client("127.0.0.1:8080") as client``, or ``with SyncClient(...)`` where calls may block."""

from semantik.client.client import Client
from semantik.client.errors import SemantikError
from semantik.client.session import Session
from semantik.client.sync.client import SyncClient
from semantik.client.tokens import TokenStore

__all__ = ["Client", "SemantikError", "Session", "SyncClient", "TokenStore"]

"""The documents between feed and commit."""

import asyncio
from collections.abc import Iterable

from services.collection.store.indexing.worklist import Item


class InFlight:
    """Holds each document once, whatever its content; ``few`` is set below ``capacity`` documents, ``idle`` at none.

    A content that comes meanwhile waits until the one before it has ended: two of one document would take each other's passages away.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._ids: set[str] = set()
        self.idle, self.few = asyncio.Event(), asyncio.Event()
        self._tell()

    def take_off(self, item: Item) -> bool:
        """Return whether the document was not in flight; from now on it is."""
        if item.document_id in self._ids:
            return False
        self._ids.add(item.document_id)
        self._tell()
        return True

    def land(self, items: Iterable[Item]) -> None:
        self._ids.difference_update(item.document_id for item in items)
        self._tell()

    def _tell(self) -> None:
        for event, holds in ((self.idle, not self._ids), (self.few, len(self._ids) < self._capacity)):
            event.set() if holds else event.clear()

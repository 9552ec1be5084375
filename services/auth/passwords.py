"""Passwords: Argon2id, off the event loop, and the same time for every answer."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from services.auth import metrics

_THREADS = 2
_Result = TypeVar("_Result")


class Passwords:
    """Hashes and verifies with OWASP's parameters (19 MiB, 2 passes); Argon2 releases the GIL while it works."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="argon2")
        self._unmatched_hash = self._hasher.hash("the password of no user")

    async def hash(self, password: str) -> str:
        return await self._run(self._hasher.hash, password)

    async def matches(self, password_hash: str | None, password: str) -> bool:
        """Return whether the password matches; without a hash the answer is no, after just as long."""
        matches = await self._run(self._verify, password_hash or self._unmatched_hash, password)
        return matches and password_hash is not None

    async def _run(self, work: Callable[..., _Result], *arguments: str) -> _Result:
        with metrics.PASSWORD_SECONDS.time():
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

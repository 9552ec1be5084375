"""Passwords: strength, and Argon2id, off the event loop; the same time for every answer."""

import asyncio
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn import zxcvbn

from services.auth import metrics, refusals

_THREADS = 2
# Below it fewer than a million guesses are enough, says zxcvbn.
_MIN_SCORE = 2
# What is read of a password to judge it. The time grows with each sign that may stand for a letter, so of these two count:
# 50 ms at most, instead of seconds.
_JUDGED_CHARACTERS = 32
_JUDGED_SIGNS = 2
_SIGNS = frozenset("@({[<!|$+%")
_MAX_WAITING = 32
_BUSY_SECONDS = 2.0
_Result = TypeVar("_Result")


class Passwords:
    """Hashes and verifies with OWASP's parameters (19 MiB, 2 passes); Argon2 releases the GIL while it works.

    New passwords have a thread of their own, so that registrations, however many, leave sign-ins theirs.
    """

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="argon2")
        self._new = ThreadPoolExecutor(1, thread_name_prefix="argon2-new")
        self._waiting = 0
        self._unmatched_hash = self._hasher.hash("the password of no user")

    async def weakness(self, password: str, own: Sequence[str]) -> str:
        """Return why a password is easy to guess, empty if it is not; ``own`` is what others know of its user: names and addresses."""
        return await asyncio.get_running_loop().run_in_executor(self._new, _weakness, password, own)

    async def hash(self, password: str) -> str:
        """Return the hash of a new password; raises TOO_MANY_ATTEMPTS while too many others wait for theirs."""
        if self._waiting >= _MAX_WAITING:
            raise refusals.too_many_registrations(_BUSY_SECONDS)
        self._waiting += 1
        try:
            return await self._run(self._new, self._hasher.hash, password)
        finally:
            self._waiting -= 1

    async def matches(self, password_hash: str | None, password: str) -> bool:
        """Return whether the password matches; without a hash the answer is no, after just as long."""
        matches = await self._run(self._threads, self._verify, password_hash or self._unmatched_hash, password)
        return matches and password_hash is not None

    async def _run(self, threads: ThreadPoolExecutor, work: Callable[..., _Result], *arguments: str) -> _Result:
        with metrics.PASSWORD_SECONDS.time():
            return await asyncio.get_running_loop().run_in_executor(threads, work, *arguments)

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False


def _weakness(password: str, own: Sequence[str]) -> str:
    words = [word for known in own for word in (known, *re.split(r"[^\w]+", known)) if len(word) > 2]
    signs = list(dict.fromkeys(character for character in password if character in _SIGNS))[:_JUDGED_SIGNS]
    judged = "".join(character for character in password if character not in _SIGNS or character in signs)
    result = zxcvbn(judged[:_JUDGED_CHARACTERS], words)
    if result["score"] >= _MIN_SCORE:
        return ""
    warning = result["feedback"]["warning"].rstrip(".")
    return f"is easy to guess{': ' + warning[0].lower() + warning[1:] if warning else ''}; take several words that do not belong together"

"""A user at random: adds, changes, renames, deletes, uploads, cancels, searches, watches."""

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import Awaitable, Callable

from semantik.client import SemantikError
from tests.faults import corpus
from tests.faults.chaos.journal import Journal
from tests.faults.chaos.oracle import Held, Oracle
from tests.faults.people import Person

_WORDS = 40
_WATCH_SECONDS = 20.0
_numbers = itertools.count(1)


class User:
    """Takes one step after another in collections of its own; what it is promised goes into their oracles."""

    def __init__(self, person: Person, oracles: list[Oracle], journal: Journal, source: random.Random) -> None:
        self._person = person
        self._oracles = oracles
        self._journal = journal
        self._random = source
        self._operations: list[str] = []
        self._watches: set[asyncio.Task[None]] = set()
        self._steps: list[tuple[int, str, Callable[[Oracle], Awaitable[str]]]] = [
            (6, "change files", self._change),
            (5, "sync", self._sync),
            (7, "upload", self._upload),
            (5, "upload again", self._upload_again),
            (2, "upload equal bytes", self._upload_equal),
            (5, "delete an upload", self._delete),
            (3, "delete a file's document", self._delete_file),
            (3, "cancel", self._cancel),
            (8, "search", self._search),
            (3, "watch", self._watch),
            (1, "remove the source", self._remove),
        ]

    async def run(self, end: float) -> None:
        """Take steps until the clock says ``end``."""
        weights = [weight for weight, _, _ in self._steps]
        while time.monotonic() < end:
            [(_, name, step)] = self._random.choices(self._steps, weights)
            oracle = self._random.choice(self._oracles)
            try:
                text = await step(oracle)
            except SemantikError as error:
                text = f"{error.code} {error.reason} {error.message}"
                if error.reason in ("OPERATION_NOT_FOUND", "DOCUMENT_NOT_FOUND", "SOURCE_NOT_FOUND"):
                    self._journal.find("refused", f"{self._person.name}, {name}: {text}")
            self._journal.note("step", self._person.name, f"{name}: {text}")
            await asyncio.sleep(self._random.uniform(0, 0.4))
        for watch in tuple(self._watches):
            with contextlib.suppress(TimeoutError):
                await watch

    def _seed(self, oracle: Oracle) -> str:
        return f"{oracle.collection_id}/{next(_numbers)}"

    async def _change(self, oracle: Oracle) -> str:
        """Add, change, rename and remove some files; the next sync sees it."""
        done = []
        for _ in range(self._random.randint(1, 8)):
            names = sorted(oracle.folder.files)
            what = self._random.choice(("add", "add", "change", "rename", "remove"))
            if what == "add" or not names:
                oracle.write(f"f{next(_numbers)}.txt", self._seed(oracle))
            elif what == "change":
                oracle.write(self._random.choice(names), self._seed(oracle))
            elif what == "rename":
                oracle.rename(self._random.choice(names), f"r{next(_numbers)}.txt")
            else:
                oracle.unlink(self._random.choice(names))
            done.append(what)
        return " ".join(done)

    async def _sync(self, oracle: Oracle) -> str:
        if oracle.folder.source_id:
            operation_id = await self._person.sync(oracle.folder.source_id)
        else:
            oracle.folder.source_id, operation_id = await self._person.add(oracle.collection_id, oracle.folder.path)
        self._operations.append(operation_id)
        return operation_id

    async def _upload(self, oracle: Oracle) -> str:
        return await self._put(oracle, f"u{next(_numbers)}.txt", self._seed(oracle))

    async def _upload_again(self, oracle: Oracle) -> str:
        if not oracle.uploads:
            return "nothing was uploaded"
        name = self._random.choice(sorted(oracle.uploads))
        return await self._put(oracle, name, self._seed(oracle))

    async def _upload_equal(self, oracle: Oracle) -> str:
        if not oracle.uploads:
            return "nothing was uploaded"
        held = oracle.uploads[self._random.choice(sorted(oracle.uploads))]
        return await self._put(oracle, f"e{next(_numbers)}.txt", held.seed)

    async def _put(self, oracle: Oracle, name: str, seed: str) -> str:
        before = oracle.uploads.get(name)
        try:
            upload, operation_id = await self._person.upload(oracle.collection_id, name, corpus.text(seed, _WORDS))
        except SemantikError:
            oracle.unknown |= {seed, *([before.seed] if before else [])}
            raise
        if before:
            oracle.replaced.add(before.seed)
        oracle.gone.discard(seed)
        oracle.uploads[name] = Held(upload.document_id, seed)
        self._operations.append(operation_id)
        return f"{name} {upload.document_id}"

    async def _delete(self, oracle: Oracle) -> str:
        if not oracle.uploads:
            return "nothing was uploaded"
        name = self._random.choice(sorted(oracle.uploads))
        held = oracle.uploads.pop(name)
        is_last = all(other.seed != held.seed for other in oracle.uploads.values())
        try:
            await self._person.delete(oracle.collection_id, held.document_id, corpus.word(held.seed))
        except SemantikError:
            oracle.unknown.add(held.seed)
            raise
        if is_last:
            oracle.gone.add(held.seed)
        text = f"{name} {held.document_id}"
        if self._random.random() < 0.5:
            await asyncio.sleep(self._random.choice((0.0, 0.1, 0.3)))
            text += f"; again {await self._put(oracle, name, self._seed(oracle))}"
        return text

    async def _delete_file(self, oracle: Oracle) -> str:
        """Delete the document of a file, and the file, whose name never comes back."""
        names = await self._person.names(oracle.collection_id)
        known = sorted(set(names) & set(oracle.folder.files))
        if not known or not oracle.folder.source_id:
            return "no file is known"
        name = self._random.choice(known)
        seed = oracle.unlink(name)
        try:
            await self._person.delete(oracle.collection_id, names[name], corpus.word(seed))
        except SemantikError as error:
            if error.reason != "DOCUMENT_NOT_FOUND":  # a sync has missed the file, and was faster
                oracle.unknown.add(seed)
                raise
        oracle.gone.add(seed)
        return f"{name} {names[name]}"

    async def _cancel(self, oracle: Oracle) -> str:
        if not self._operations:
            return "nothing was started"
        operation = await self._person.cancel(self._operations[-1])
        return f"{operation.id} is {operation.state}"

    async def _search(self, oracle: Oracle) -> str:
        """Look for something that must not be found, and search as anybody does."""
        gone = sorted(oracle.gone - oracle.live - oracle.unknown)
        for seed in self._random.sample(gone, min(4, len(gone))):
            if await self.finds(oracle, seed):
                self._journal.find("found_deleted", f"the text {seed} is found after its deletion")
        answer = await self._person.persist("search", lambda: self._person.client.search("river gate engine", [oracle.collection_id]))
        return f"{len(answer.hits)} hits, {len(gone)} gone"

    async def finds(self, oracle: Oracle, seed: str) -> bool:
        """Tell whether a search for the word of a text finds it."""
        word = corpus.word(seed)
        answer = await self._person.persist(
            "search", lambda: self._person.client.search(word, [oracle.collection_id], mode="keyword", limit=5)
        )
        return any(word in hit.text for hit in answer.hits)

    async def _watch(self, oracle: Oracle) -> str:
        if not self._operations:
            return "nothing was started"
        operation_id = self._operations[-1]
        task = asyncio.create_task(self._follow(operation_id))
        self._watches.add(task)
        task.add_done_callback(self._watches.discard)
        return operation_id

    async def _follow(self, operation_id: str) -> None:
        """Watch for a while; progress never falls within one claim."""
        done, attempt = 0, 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_WATCH_SECONDS):
                try:
                    async for operation in self._person.client.operations.watch(operation_id):
                        now = operation.progress.documents_done
                        if now < done and operation.attempt == attempt:
                            self._journal.find("progress", f"{operation_id} fell from {done} to {now} documents done")
                        done, attempt = now, operation.attempt
                except SemantikError as error:
                    if error.code not in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
                        self._journal.find("watch", f"{operation_id}: {error.code} {error.reason}")

    async def _remove(self, oracle: Oracle) -> str:
        if not oracle.folder.source_id:
            return "there is no source"
        source_id, oracle.folder.source_id = oracle.folder.source_id, ""
        try:
            operation_id = await self._person.remove(source_id)
        except SemantikError:
            oracle.unknown |= set(oracle.folder.files.values())
            raise
        oracle.gone |= set(oracle.folder.files.values())
        self._operations.append(operation_id)
        # Its files come back only under other names, and with other texts.
        for name in sorted(oracle.folder.files):
            oracle.unlink(name)
        return source_id

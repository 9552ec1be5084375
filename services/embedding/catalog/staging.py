"""Where a model or a graph lies until it is whole: ``<MODEL_DIR>/.staging/``, which the replicas share."""

import contextlib
import fcntl
import logging
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from services.embedding import blocking

log = logging.getLogger(__name__)
_FOLDER = ".staging"


@contextlib.asynccontextmanager
async def staged(model_dir: Path, name: str) -> AsyncIterator[Path]:
    """Hold a fresh directory; whatever is still there at the end is removed. Clears what dead processes left."""
    directory, lock = await blocking.run(lambda: _create(model_dir, name))
    try:
        yield directory
    finally:
        os.close(lock)
        await blocking.run(lambda: shutil.rmtree(directory, ignore_errors=True))


def clear(model_dir: Path) -> None:
    """Remove the directories of processes that are gone: no process holds their locks. Blocks."""
    folder = model_dir / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        for directory in folder.iterdir():
            with contextlib.suppress(BlockingIOError):
                os.close(_lock(directory))
                shutil.rmtree(directory)
                log.info("removed %s, which a process left that is gone", directory)


def _create(model_dir: Path, name: str) -> tuple[Path, int]:
    clear(model_dir)
    folder = model_dir / _FOLDER
    with _locked(folder):
        directory = folder / f"{name}.{uuid.uuid4().hex[:8]}"
        directory.mkdir()
        return directory, _lock(directory)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other replicas from clearing what is not held yet."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _lock(directory: Path) -> int:
    """Return a descriptor that holds the directory's lock; raises BlockingIOError where another process holds it."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    return descriptor

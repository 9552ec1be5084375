"""Where a download lies until it is whole: ``<MODEL_DIR>/.downloads/``, which the replicas share."""

import contextlib
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

_FOLDER = ".downloads"


@contextlib.contextmanager
def staged(model_dir: Path, model_id: str) -> Iterator[Path]:
    """Hold a fresh directory; whatever is still there at the end is removed. Clears what dead downloads left."""
    clear(model_dir)
    folder = model_dir / _FOLDER
    with _locked(folder):
        directory = folder / f"{model_id}.{uuid.uuid4().hex[:8]}"
        directory.mkdir()
        held = _open(directory)
    try:
        yield directory
    finally:
        os.close(held)
        shutil.rmtree(directory, ignore_errors=True)


def clear(model_dir: Path) -> None:
    """Remove what downloads left whose process is gone: nobody holds its lock any more."""
    folder = model_dir / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        for directory in folder.iterdir():
            with contextlib.suppress(BlockingIOError):
                os.close(_open(directory))
                shutil.rmtree(directory)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other replicas from clearing what is not held yet."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open(directory: Path) -> int:
    """Return a descriptor that holds the directory's lock; raises BlockingIOError where somebody else does."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    return descriptor

"""The collections' folders: `NAME/collection.json` says how the collection was made and which `shard-N` folder holds it."""

import json
import os
import re
import shutil
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import qdrant_edge as edge

from deploy.local.qdrant.values import RefusedError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_CONFIG = "collection.json"
_BLOCK = 1 << 20
_SECTOR = 512  # what st_blocks counts, everywhere


class Folders:
    """Knows every collection below ``directory``; this process is the only one that changes it.

    The engine maps files into memory and dies where a page finds no room, so that writes stop while less than
    ``least_free_bytes`` of the disk are free, and nothing is opened any more at a quarter of that.
    """

    def __init__(self, directory: Path, least_free_bytes: int) -> None:
        self._directory = directory
        self._least_free_bytes = least_free_bytes
        directory.mkdir(parents=True, exist_ok=True)
        for leftover in directory.glob(".*"):
            shutil.rmtree(leftover)
        self._configs: dict[str, dict[str, Any]] = {
            path.parent.name: json.loads(path.read_text()) for path in directory.glob(f"*/{_CONFIG}")
        }
        for name in self._configs:
            for shard in (directory / name).glob("shard-*"):
                if shard != self.shard(name):
                    shutil.rmtree(shard)

    def names(self) -> list[str]:
        return sorted(self._configs)

    def exists(self, name: str) -> bool:
        return name in self._configs

    def config(self, name: str) -> dict[str, Any]:
        """Return what the collection was created with; raises NOT_FOUND."""
        if name not in self._configs:
            raise RefusedError(grpc.StatusCode.NOT_FOUND, f"Not found: Collection `{name}` doesn't exist!")
        return self._configs[name]

    def shard(self, name: str) -> Path:
        return self._directory / name / f"shard-{self.config(name)['shard']}"

    def make(self, name: str, engine: Any, config: dict[str, Any]) -> None:
        """Make a collection, whole or not at all; raises ALREADY_EXISTS."""
        if not _NAME.fullmatch(name):
            raise RefusedError(grpc.StatusCode.INVALID_ARGUMENT, f"Wrong input: not a collection name: {name!r}")
        if self.exists(name):
            raise RefusedError(grpc.StatusCode.ALREADY_EXISTS, f"Wrong input: Collection `{name}` already exists!")
        self.check_space()
        fresh = self._directory / f".new-{uuid.uuid4().hex}"
        (fresh / "shard-0").mkdir(parents=True)
        shard = edge.EdgeShard.create(str(fresh / "shard-0"), engine)
        shard.flush()
        shard.close()
        config = {**config, "shard": 0}
        _write_durably(fresh / _CONFIG, config)
        fresh.rename(self._directory / name)
        self._configs[name] = config

    def forget(self, name: str) -> Path:
        """Take a collection away at once; return the folder that is left to be removed."""
        gone = self._directory / f".gone-{uuid.uuid4().hex}"
        (self._directory / name).rename(gone)
        del self._configs[name]
        return gone

    def copy_shard(self, name: str) -> Path:
        """Copy the shard's files to the folder of the next one, holes as holes; the caller keeps writes away.

        Raises RESOURCE_EXHAUSTED where the copy and an index of it would not fit.
        """
        source, target = self.shard(name), self._directory / name / f"shard-{self.config(name)['shard'] + 1}"
        self.check_space(2 * sum(path.stat().st_blocks * _SECTOR for path in source.rglob("*")))
        shutil.rmtree(target, ignore_errors=True)  # of an attempt that failed
        shutil.copytree(source, target, copy_function=_copy_sparse)
        return target

    def switch(self, name: str) -> Path:
        """Make the next shard the collection's own, in one step; return the folder that is left to be removed."""
        config, before = self.config(name), self.shard(name)
        following = {**config, "shard": config["shard"] + 1}
        draft = self._directory / name / f"{_CONFIG}.new"
        _write_durably(draft, following)
        draft.replace(self._directory / name / _CONFIG)
        self._configs[name] = following
        return before

    def check_space(self, needed: int = 0) -> None:
        """Raise RESOURCE_EXHAUSTED while the disk is nearly full, or would be with ``needed`` bytes more."""
        self._require_free(self._least_free_bytes + needed)

    def check_space_to_open(self) -> None:
        """Raise RESOURCE_EXHAUSTED where opening a shard, which writes a little, might kill the process and all that it serves."""
        self._require_free(self._least_free_bytes // 4)

    def _require_free(self, size: int) -> None:
        if shutil.disk_usage(self._directory).free < size:
            raise RefusedError(grpc.StatusCode.RESOURCE_EXHAUSTED, "No space left on device: free some and try again")


def write_out(folder: Path) -> None:
    """Bring the files in a folder to the disk, whatever has changed them."""
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # the engine merges segments
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _write_durably(path: Path, config: dict[str, Any]) -> None:
    with path.open("w") as file:
        json.dump(config, file)
        file.flush()
        os.fsync(file.fileno())


def _copy_sparse(source: str, target: str) -> None:
    with Path(source).open("rb") as reader, Path(target).open("wb") as writer:
        size = os.fstat(reader.fileno()).st_size
        writer.truncate(size)
        position = 0
        while position < size:
            try:
                position = os.lseek(reader.fileno(), position, os.SEEK_DATA)
            except OSError:  # nothing but a hole is left
                return
            end = os.lseek(reader.fileno(), position, os.SEEK_HOLE)
            while position < end:
                block = os.pread(reader.fileno(), min(_BLOCK, end - position), position)
                position += os.pwrite(writer.fileno(), block, position)

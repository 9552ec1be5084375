"""What one collection must hold: which words are found at rest, and which never again."""

from dataclasses import dataclass, field
from pathlib import Path

from tests.faults import corpus


@dataclass
class Folder:
    """A directory source; ``files`` gives each file the seed of its text. ``source_id`` is empty while it is not added."""

    path: Path
    source_id: str = ""
    files: dict[str, str] = field(default_factory=dict)


@dataclass
class Held:
    """An uploaded document."""

    document_id: str
    seed: str


@dataclass
class Oracle:
    """One collection as its user knows it.

    ``gone`` are seeds whose deletion was acknowledged: not found from that moment on. ``replaced`` are those that go with the
    next sync. ``unknown`` are those of calls that were never answered: nothing is expected of them.
    """

    collection_id: str
    folder: Folder
    uploads: dict[str, Held] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    replaced: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)

    @property
    def live(self) -> set[str]:
        """Return the seeds that must be found at rest."""
        files = set(self.folder.files.values()) if self.folder.source_id else set()
        return (files | {held.seed for held in self.uploads.values()}) - self.unknown

    @property
    def dead(self) -> set[str]:
        """Return the seeds that must not be found at rest."""
        files = set() if self.folder.source_id else set(self.folder.files.values())
        return (self.gone | self.replaced | files) - self.live - self.unknown

    def write(self, name: str, seed: str) -> None:
        """Write a file of the folder."""
        before = self.folder.files.get(name)
        if before is not None:
            self.replaced.add(before)
        self.folder.files[name] = seed
        (self.folder.path / name).write_text(corpus.text(seed, 40))

    def unlink(self, name: str) -> str:
        """Remove a file of the folder; return its seed."""
        seed = self.folder.files.pop(name)
        self.replaced.add(seed)
        (self.folder.path / name).unlink()
        return seed

    def rename(self, name: str, new: str) -> None:
        self.folder.files[new] = self.folder.files.pop(name)
        (self.folder.path / name).rename(self.folder.path / new)

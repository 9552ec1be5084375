"""What the mesh has promised its users: the audit holds it to that."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.faults.people import Person


@dataclass(frozen=True)
class Upload:
    """An acknowledged upload: the newest content of a name."""

    collection_id: str
    document_id: str
    name: str
    content_sha256: str


@dataclass(frozen=True)
class Deletion:
    """A document whose deletion was acknowledged, with a word only it had."""

    person: "Person"
    collection_id: str
    document_id: str
    word: str


@dataclass
class Ledger:
    """``operations`` are the ids handed out, with what each was for; ``internal`` the errors no client may ever see."""

    operations: dict[str, str] = field(default_factory=dict)
    uploads: dict[tuple[str, str], Upload] = field(default_factory=dict)
    deleted: dict[str, Deletion] = field(default_factory=dict)
    internal: list[str] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)

    def uploaded(self, upload: Upload) -> None:
        self.uploads[upload.collection_id, upload.name] = upload
        self.deleted.pop(upload.document_id, None)

    def forget(self, collection_id: str) -> None:
        """Drop what was promised of a collection that is deleted."""
        self.uploads = {key: upload for key, upload in self.uploads.items() if key[0] != collection_id}
        self.deleted = {key: deletion for key, deletion in self.deleted.items() if deletion.collection_id != collection_id}

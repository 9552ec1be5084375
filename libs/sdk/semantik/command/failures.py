"""Names what an operation could not index."""

from collections import Counter
from collections.abc import Sequence

from semantik.client import Client
from semantik.collection.v1.collection_pb2 import Collection
from semantik.collection.v1.document_pb2 import Document
from semantik.command.context import escape, out
from semantik.operation.v1.operation_pb2 import Operation

_SHOWN = 5
_COUNTED = 5_000


async def report(semantik: Client, collection: Collection, operation_ids: Sequence[str], *, quiet: bool = False) -> bool:
    """Name the first documents that failed, and count those that were skipped by reason; return whether one failed.

    After the sync of a source all of its failed documents count, whenever they failed; after other operations their own.
    """
    operations = [await semantik.operations.get(operation_id) for operation_id in operation_ids]
    first = min(operations, key=lambda operation: operation.create_time.ToNanoseconds())
    failed = await _ended(semantik, first, Document.STATE_FAILED)
    if quiet:
        return bool(failed)
    has_skipped = any(operation.progress.documents_skipped for operation in operations)
    skipped = await _ended(semantik, first, Document.STATE_SKIPPED) if has_skipped else []
    if failed:
        out.print(f"{_number(failed)} failed:")
    for document in failed[:_SHOWN]:
        out.print(f"  {escape(document.path)}: {escape(document.error_message)}", soft_wrap=True)
    if len(failed) > _SHOWN:
        out.print("  ...")
    if skipped:
        counts = Counter(reason_in_words(document) for document in skipped)
        out.print(
            f"{_number(skipped)} skipped: {', '.join(f'{count:,} {reason}' for reason, count in counts.most_common())}.", soft_wrap=True
        )
    states = [f"--state {name}" for name, documents in (("failed", failed), ("skipped", skipped)) if documents]
    if states:
        out.print(f"See them all: semantik documents list -c {escape(collection.name)} {' '.join(states)}", soft_wrap=True)
    return bool(failed)


def reason_in_words(document: Document) -> str:
    """Return the reason why a document is skipped or failed; empty where there is none."""
    return Document.Reason.Name(document.reason).removeprefix("REASON_").lower().replace("_", " ") if document.reason else ""


async def _ended(semantik: Client, operation: Operation, state: "Document.State.ValueType") -> list[Document]:
    documents = []
    async for document in semantik.documents.list(operation.collection_id, source_id=operation.source_id, states=[state]):
        if operation.source_id or document.update_time.ToNanoseconds() >= operation.create_time.ToNanoseconds():
            documents.append(document)
        if len(documents) == _COUNTED:
            break
    return documents


def _number(documents: list[Document]) -> str:
    if len(documents) == _COUNTED:
        return f"{_COUNTED:,} or more files"
    return f"{len(documents):,} files" if len(documents) != 1 else "1 file"

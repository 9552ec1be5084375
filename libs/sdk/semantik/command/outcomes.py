"""What became of documents, in words."""

from semantik.client import Client, SemantikError
from semantik.collection.v1.document_pb2 import Document
from semantik.command.context import err, escape, out, print_json, word
from semantik.command.failures import reason_in_words


async def why(semantik: Client, document: Document, paths: dict[str, str]) -> str:
    """Return in a sentence why a document is skipped or failed; ``paths`` of documents by id are asked for once."""
    if document.reason != Document.REASON_DUPLICATE:
        return document.error_message or reason_in_words(document)
    if document.duplicate_of not in paths:
        try:
            paths[document.duplicate_of] = (await semantik.documents.get(document.duplicate_of)).path
        except SemantikError as error:
            if error.code != "NOT_FOUND":
                raise
            paths[document.duplicate_of] = "a document that is gone"
    return f"the same bytes as {paths[document.duplicate_of]}"


async def show_undeleted(semantik: Client, document: Document, *, as_json: bool) -> bool:
    """Say what became of a document that was undeleted; return whether it is back."""
    try:
        now = await semantik.documents.get(document.id)
    except SemantikError as error:
        if error.code != "NOT_FOUND":
            raise
        err.print(f"[red]{escape(document.path)}[/] cannot come back: its file is gone, or its source leaves it out.")
        return False
    if as_json:
        print_json(now)
        return True
    reason = await why(semantik, now, {})
    out.print(f"{escape(now.path)}: {word(now, 'state')}" + (f", {escape(reason)}" if reason else "") + ".", soft_wrap=True)
    return now.state != Document.STATE_FAILED

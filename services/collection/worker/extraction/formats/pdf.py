"""PDF: the text of its pages, and where each page begins."""

from services.collection.landmarks import Landmarks
from services.collection.worker.extraction.extracted import Extracted, UnreadableError


def extract(content: bytes, mime_type: str) -> Extracted:
    import pypdfium2  # noqa: PLC0415 - importing it takes 100 ms

    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise UnreadableError("ENCRYPTED", "the PDF is protected by a password") from error
        raise UnreadableError("CORRUPT", "the PDF is damaged") from error
    parts, pages, length = [], [], 0
    for number in range(len(document)):
        page = document[number]
        text = page.get_textpage().get_text_bounded().replace("\r\n", "\n") + "\n\n"
        pages.append(length)
        parts.append(text)
        length += len(text)
        page.close()
    return Extracted("".join(parts), mime_type, Landmarks(pages=pages))

"""Makes PDFs for tests."""

import io

import pypdfium2
import pypdfium2.raw


def pdf(*texts: str) -> bytes:
    """Return a PDF with a page for each text."""
    document = pypdfium2.PdfDocument.new()
    for text in texts:
        page = document.new_page(200, 200)
        font = pypdfium2.raw.FPDFText_LoadStandardFont(document, b"Helvetica")
        shape = pypdfium2.raw.FPDFPageObj_CreateTextObj(document, font, 12)
        encoded = (text + "\x00").encode("utf-16-le")
        buffer = (pypdfium2.raw.FPDF_WCHAR * (len(encoded) // 2)).from_buffer_copy(encoded)
        pypdfium2.raw.FPDFText_SetText(shape, buffer)
        pypdfium2.raw.FPDFPageObj_Transform(shape, 1, 0, 0, 1, 20, 100)
        pypdfium2.raw.FPDFPage_InsertObject(page, shape)
        page.gen_content()
    written = io.BytesIO()
    document.save(written)
    return written.getvalue()

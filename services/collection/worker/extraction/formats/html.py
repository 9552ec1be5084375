"""HTML: a line of text for each block, and its headings."""

import re

from services.collection.landmarks import Landmarks
from services.collection.worker.extraction.extracted import Extracted
from services.collection.worker.extraction.formats.plain import decode

# Control characters mark places in the tree; the text itself has none left by then.
_LINE, _PARAGRAPH, _HEADING, _END = "\x04", "\x05", "\x02", "\x03"
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LEFT_OUT = "script, style, noscript, template, svg, head, iframe, object"
_LINES = "br, li, tr, dt, dd, option, figcaption, caption"
_PARAGRAPHS = "p, div, section, article, main, header, footer, aside, nav, blockquote, ul, ol, dl, table, form, figure, hr, address"
_PLACES = re.compile(r"([\x02-\x05])")
_TITLE_CHARACTERS = 200


def extract(content: bytes, mime_type: str) -> Extracted:
    text, headings = _flatten(_CONTROL.sub(" ", decode(content)))
    return Extracted(text, mime_type, Landmarks(headings=headings, breaks=[start for start, _ in headings]))


def _flatten(source: str) -> tuple[str, list[tuple[int, str]]]:
    """Return the text of a page without control characters, and its headings with their offsets."""
    from selectolax.lexbor import LexborHTMLParser  # noqa: PLC0415 - imported by the first file that needs it

    tree = LexborHTMLParser(source)
    if tree.body is None:
        return "", []
    for node in tree.css(_LEFT_OUT):
        node.decompose()
    for node in tree.css("pre"):
        node.replace_with(_PARAGRAPH + node.text(deep=True).replace("\n", _LINE) + _PARAGRAPH)
    for node in tree.css("h1, h2, h3, h4, h5, h6"):
        node.replace_with(f"{_PARAGRAPH}{_HEADING}{node.text(deep=True)}{_END}{_PARAGRAPH}")
    for node in tree.css("td, th"):
        node.insert_after(" ")
    for selector, place in ((_LINES, _LINE), (_PARAGRAPHS, _PARAGRAPH)):
        for node in tree.css(selector):
            node.insert_before(place)
            node.insert_after(place)
    return _laid_out(tree.body.text(deep=True))


def _laid_out(marked: str) -> tuple[str, list[tuple[int, str]]]:
    parts: list[str] = []
    headings: list[tuple[int, str]] = []
    length, gap, is_heading = 0, "", False
    for part in _PLACES.split(marked):
        if part == _PARAGRAPH:
            gap = "\n\n"
        elif part == _LINE:
            gap = gap or "\n"
        elif part in (_HEADING, _END):
            is_heading = part == _HEADING
        elif words := " ".join(part.split()):
            before = gap if length else ""
            if is_heading:
                headings.append((length + len(before), words[:_TITLE_CHARACTERS]))
            parts += [before, words]
            length, gap = length + len(before) + len(words), ""
    return "".join(parts), headings

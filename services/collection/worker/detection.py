"""The language of a document, as its text tells."""

import gcld3

_CHARACTERS = 2000
# Of fewer letters the detector is too often sure and wrong.
_LETTERS = 60
_PROBABILITY = 0.9
_detector = gcld3.NNetLanguageIdentifier(0, 4 * _CHARACTERS)


def detected(text: str) -> str:
    """Return the language in which a text begins (BCP 47), empty where it is not sure."""
    start = text[:_CHARACTERS].replace("\0", " ")
    if sum(map(str.isalpha, start)) < _LETTERS:
        return ""
    found = _detector.FindLanguage(start)
    return str(found.language) if found.is_reliable and found.probability >= _PROBABILITY else ""

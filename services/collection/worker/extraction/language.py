"""The language of a document, as its text tells. Native code reads the text, so this runs only in a child process."""

import gcld3

from services.collection.worker.extraction.extracted import LANGUAGE_CHARACTERS

# Of fewer letters the detector is too often sure and wrong.
_LETTERS = 60
_PROBABILITY = 0.9
_detector = gcld3.NNetLanguageIdentifier(0, 4 * LANGUAGE_CHARACTERS)


def detected(text: str) -> str:
    """Return the language in which a text begins (BCP 47), empty where it is not sure."""
    start = text[:LANGUAGE_CHARACTERS].replace("\0", " ")
    if sum(map(str.isalpha, start)) < _LETTERS:
        return ""
    found = _detector.FindLanguage(start)
    return str(found.language) if found.is_reliable and found.probability >= _PROBABILITY else ""

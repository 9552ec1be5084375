"""Texts that follow from a seed, each with a word that no other has."""

import random

_WORDS = ["river", "gate", "engine", "wing", "heat", "plate", "theory", "value", "error", "budget", "letter", "garden", "winter", "market", "bridge", "signal", "water", "copper", "planet", "harbour", "window", "paper", "music", "forest", "silver", "number", "mountain", "station", "teacher", "machine", "morning", "shadow", "village", "picture", "journey", "contract", "meeting", "weather", "kitchen", "library", "student", "history", "science", "voyage", "anchor", "compass", "lantern", "thunder", "meadow", "orchard", "surface", "boundary", "layer", "pressure", "velocity", "laminar", "measure", "reading", "index", "passage", "document", "collection", "source", "search", "query", "carries", "turns", "holds", "brings", "follows", "reaches", "crosses", "opens", "closes", "keeps", "moves", "builds", "draws", "lifts", "answers", "remembers", "measures", "quiet", "narrow", "distant", "bright", "early", "heavy", "gentle", "hidden", "steady", "common", "ancient", "modern", "rapid", "careful", "simple"]


def word(seed: str) -> str:
    """Return a word that only the text of this seed has."""
    return f"zq{random.Random(seed).getrandbits(56):x}"  # noqa: S311 - no secret


def text(seed: str, words: int = 120) -> str:
    """Return about ``words`` words in sentences and paragraphs; the seed's own word begins and ends them."""
    source = random.Random(seed)  # noqa: S311 - no secret
    own, sentences, left = word(seed), [], words
    while left > 0:
        length = source.randint(6, 16)
        sentences.append(" ".join(source.choices(_WORDS, k=length)).capitalize() + ".")
        left -= length
    paragraphs = [" ".join(sentences[start : start + 6]) for start in range(0, len(sentences), 6)]
    return f"About {own}. " + "\n\n".join(paragraphs) + f"\n\nThis was {own}.\n"

"""Questions and passages with nothing in common, and how far apart a model puts them: what a similarity is measured by."""

from collections.abc import Sequence

import numpy as np

from services.search.vectors.spread import Spread

# The passage of each question answers it, and no other one.
_PAIRS = (
    (
        "How do I bake bread with a sour starter?",
        "Feed the starter with flour and water, let the dough rise overnight and bake it in a hot oven until the crust is brown.",
    ),
    (
        "What was the cause of the French Revolution?",
        "In 1789 an empty treasury, bad harvests and high prices brought the estates together, and within months the old order had fallen.",
    ),
    (
        "Which medicine lowers a fever?",
        "Patients with a high temperature were given paracetamol every six hours; most of them recovered within three days.",
    ),
    (
        "How does a diesel engine work?",
        "Fuel is injected into compressed air, which is hot enough to ignite it; the piston is driven down and turns the crankshaft.",
    ),
    (
        "When should tomatoes be planted?",
        "Sow the seeds indoors in March and move the young plants into the garden once the nights are free of frost.",
    ),
    (
        "Who may vote in a general election?",
        "Every citizen who has reached the age of eighteen and is entered in the register has one vote, which is cast in secret.",
    ),
    (
        "How is a function called in Python?",
        "The interpreter evaluates the arguments, binds them to the parameters and runs the body until it meets a return statement.",
    ),
    (
        "What makes the sea rise and fall?",
        "The moon pulls at the water on the side that faces it, so that most coasts have two high tides and two low ones a day.",
    ),
    (
        "How are wages taxed?",
        "The employer deducts the amount each month and pays it to the authority; what was paid too much is given back after the year.",
    ),
    (
        "Which instruments does an orchestra have?",
        "The violins sit on the left of the conductor, the cellos on the right, and behind them are woodwinds, brass and drums.",
    ),
    (
        "How far away are the nearest stars?",
        "Light from Proxima Centauri takes a little more than four years to reach us; the galaxy is a hundred thousand light years across.",
    ),
    (
        "How do I return goods that I have bought?",
        "You may cancel the contract within fourteen days without giving reasons; the seller refunds the price once the parcel is there.",
    ),
)
QUESTIONS = [question for question, _ in _PAIRS]
PASSAGES = [passage for _, passage in _PAIRS]


def spread(questions: bytes, passages: bytes) -> Spread:
    """Return mean and deviation of the similarity of ``QUESTIONS`` to passages that do not answer them.

    Both are the vectors one after another, little-endian 32-bit floats of length 1.
    """
    similarities = _rows(questions) @ _rows(passages).T
    others: Sequence[float] = similarities[~np.eye(len(_PAIRS), dtype=bool)].tolist()
    return Spread.of(others)


def _rows(vectors: bytes) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    return np.frombuffer(vectors, "<f4").reshape(len(_PAIRS), -1)

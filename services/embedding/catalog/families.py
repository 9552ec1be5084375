"""Prefixes and poolings that publishers state in words only, and that their repositories do not hold."""

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Family:
    """Repositories by name, with the texts put before queries and passages, and the pooling of token vectors."""

    names: tuple[str, ...]
    query_prefix: str
    passage_prefix: str
    pooling: str


_E5_SIZES = ("small", "base", "large")
_FAMILIES = (
    # Wang et al., "Text Embeddings by Weakly-Supervised Contrastive Pre-training" (2022), and its multilingual report (2024).
    Family(
        (*(f"intfloat/e5-{size}*" for size in _E5_SIZES), *(f"intfloat/multilingual-e5-{size}" for size in _E5_SIZES)),
        "query: ",
        "passage: ",
        "MEAN",
    ),
    # Xiao et al., "C-Pack" (2023).
    Family(("BAAI/bge-*-en", "BAAI/bge-*-en-v1.5"), "Represent this sentence for searching relevant passages: ", "", "CLS"),
)


def family(repository: str) -> Family | None:
    """Return the family that ``owner/name`` belongs to; case does not matter."""
    name = repository.casefold()
    return next((family for family in _FAMILIES if any(fnmatchcase(name, pattern.casefold()) for pattern in family.names)), None)

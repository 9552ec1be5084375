"""The real tokenizer of the default model."""

from pathlib import Path

import pytest
import semantik_minilm
from tokenizers import Tokenizer


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    [file] = Path(next(iter(semantik_minilm.__path__))).rglob("tokenizer.json")
    loaded = Tokenizer.from_str(file.read_text())
    loaded.no_truncation()
    loaded.no_padding()
    return loaded

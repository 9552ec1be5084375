"""A model in memory: its session and tokenizer, and what is known of their use."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from libs.rpc.errors import Failure
from services.embedding import metrics
from services.embedding.catalog.model_files import ModelFiles
from services.embedding.inference.batches import padded_count, token_count
from services.embedding.inference.session import Session
from services.embedding.inference.tokens import Tokenized, Tokens

log = logging.getLogger(__name__)


@dataclass
class Loaded:
    """One precision of a model, ready to compute; times are Unix seconds."""

    files: ModelFiles
    precision: str
    tokens: Tokens
    session: Session
    memory_bytes: int
    load_seconds: float
    load_time: float
    last_use_time: float
    token_count: int = 0

    def compute(self, texts: Sequence[Tokenized], lane: str) -> npt.NDArray[np.float32]:
        """Return one row for each text, as ``Session.run`` does, and count what was computed. Any thread may call it."""
        try:
            rows = self.session.run(texts)
        except Failure:
            log.exception("%s in %s gives something that is not an embedding; nothing of it is sent", self.files.id, self.precision)
            metrics.unsound(self.files.id, self.precision)
            raise
        tokens = token_count(texts)
        self.used(tokens)
        padding = padded_count(texts) - tokens if self.session.pads else 0
        metrics.computed(self.files.id, self.precision, lane, tokens, padding)
        return rows

    def used(self, tokens: int) -> None:
        self.last_use_time = time.time()
        self.token_count += tokens

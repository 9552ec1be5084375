"""Writes ``families.json``: what Hugging Face's transformers computes for the models of ``families.py``.

Run it where torch and transformers are: ``python -m tests.golden.embedding.reference``.
"""

import json
import tempfile
from pathlib import Path

import numpy as np

from tests.golden.embedding.families import FAMILIES, IDS, save

_HERE = Path(__file__).parent


def main() -> None:
    import torch
    import transformers

    made: dict[str, object] = {"transformers": transformers.__version__, "torch": torch.__version__}
    for family in FAMILIES:
        with tempfile.TemporaryDirectory() as scratch:
            directory = str(save(family, Path(scratch) / family.id))
            kind = transformers.AutoModel if family.pooling else transformers.AutoModelForSequenceClassification
            model = kind.from_pretrained(directory, **({"add_pooling_layer": False} if family.pooling else {})).eval()
        rows = []
        for ids in IDS:
            types = [0] * len(ids) if family.pooling or family.config["type_vocab_size"] == 1 else [0] * 2 + [1] * (len(ids) - 2)
            with torch.no_grad():
                result = model(input_ids=torch.tensor([ids]), token_type_ids=torch.tensor([types]))
            if family.pooling:
                hidden = result.last_hidden_state[0].numpy().astype(np.float64)
                vector = hidden[0] if family.pooling == "CLS" else hidden.mean(0)
                rows.append((vector / np.linalg.norm(vector)).tolist())
            else:
                rows.append(result.logits[0].tolist())
        made[family.id] = [[round(value, 8) for value in row] for row in rows]
    (_HERE / "families.json").write_text(json.dumps(made) + "\n")


if __name__ == "__main__":
    main()

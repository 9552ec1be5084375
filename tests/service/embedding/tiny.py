"""A model small enough to be sent around: a random BERT of two layers and nine words."""

import json

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

WIDTH = 32
_HEADS, _INNER, _PLACES, _LAYERS = 4, 64, 16, 2
_WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "moon", "sea", "tide", "##s", "the")


def files(seed: int = 7) -> dict[str, bytes]:
    """Return the files of its repository, as sentence-transformers lays them out; another seed is another model."""
    config = {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "hidden_size": WIDTH,
        "num_attention_heads": _HEADS,
        "num_hidden_layers": _LAYERS,
        "layer_norm_eps": 1e-12,
        "hidden_act": "gelu",
        "max_position_embeddings": _PLACES,
    }
    modules = [{"idx": place, "type": f"sentence_transformers.models.{name}"} for place, name in enumerate(("Transformer", "Pooling"))]
    return {
        "config.json": json.dumps(config).encode(),
        "tokenizer.json": _tokenizer(),
        "modules.json": json.dumps(modules).encode(),
        "1_Pooling/config.json": b'{"pooling_mode_cls_token": true}',
        "model.safetensors": save(_weights(seed)),
        # Not needed here, or not safe to open.
        "README.md": b"# tiny",
        "pytorch_model.bin": b"\x80\x04.",
        "onnx/model_quantized.onnx": b"other arithmetic",
    }


def words(seed: int = 7) -> npt.NDArray[np.float32]:
    """Return a vector for each word."""
    return _weights(seed)["embeddings.word_embeddings.weight"]


def _weights(seed: int) -> dict[str, npt.NDArray[np.float32]]:
    random = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(_WORDS), WIDTH),
        "embeddings.position_embeddings.weight": (_PLACES, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in (f"encoder.layer.{number}" for number in range(_LAYERS)):
        parts = {f"attention.{name}": (WIDTH, WIDTH) for name in ("self.query", "self.key", "self.value", "output.dense")}
        for name, shape in {**parts, "intermediate.dense": (_INNER, WIDTH), "output.dense": (WIDTH, _INNER)}.items():
            shapes |= {f"{layer}.{name}.weight": shape, f"{layer}.{name}.bias": shape[:1]}
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
    for norm in norms:
        shapes |= {f"{norm}.weight": (WIDTH,), f"{norm}.bias": (WIDTH,)}
    return {name: random.normal(0, 0.4, shape).astype(np.float32) for name, shape in shapes.items()}


def _tokenizer() -> bytes:
    tokenizer = Tokenizer(WordPiece({word: place for place, word in enumerate(_WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", _WORDS.index("[CLS]")), ("[SEP]", _WORDS.index("[SEP]"))],
    )
    return str(tokenizer.to_str()).encode()

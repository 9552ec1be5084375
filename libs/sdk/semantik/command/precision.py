"""The options that name a model for a new collection."""

import enum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from semantik.embedding.v1.model_pb2 import Model


class Precision(enum.StrEnum):
    INT8 = "int8"
    FLOAT32 = "float32"
    FLOAT16 = "float16"

    @staticmethod
    def message(precision: "Precision | None") -> "Model.Precision.ValueType":
        """Return the contract's value; None is the model's default."""
        from semantik.embedding.v1.model_pb2 import Model

        return Model.Precision.Value(f"PRECISION_{precision.upper()}") if precision else Model.PRECISION_UNSPECIFIED


ModelOption = Annotated[str, typer.Option("--model", help="The embedding model of a new collection, as `semantik models list` shows it.")]
PrecisionOption = Annotated[
    Precision | None, typer.Option("--precision", help="The precision of a new collection's vectors; the model's default if not given.")
]

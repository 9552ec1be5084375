"""The option that notes values on documents."""

from typing import Annotated

import typer

MetadataOption = Annotated[
    list[str] | None,
    typer.Option(
        "--metadata", metavar="KEY=VALUE", help="A value to note on each document, such as author=ada or year=2020; may be repeated."
    ),
]

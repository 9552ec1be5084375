"""What every command needs: the address, the sign-in, output, and the exit codes of errors.

Whatever is slow to import is imported when a command runs: `--help` and completion must not wait for it.
"""

import importlib
import os
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from semantik import address as addresses
from semantik.command.output import err, escape, out, plain, print_json, printable, word
from semantik.command.tables import table

if TYPE_CHECKING:
    from semantik.client import Client, SemantikError

__all__ = [
    "DEFAULT_ADDRESS",
    "EXIT_HELP",
    "AddressOption",
    "IdsOption",
    "JsonOption",
    "client",
    "err",
    "escape",
    "fail",
    "out",
    "password",
    "plain",
    "print_json",
    "printable",
    "run",
    "table",
    "word",
]

DEFAULT_ADDRESS = f"127.0.0.1:{addresses.DEFAULT_PORT}"
EXIT_CODES = {"UNAUTHENTICATED": 3, "NOT_FOUND": 4, "PERMISSION_DENIED": 5, "UNAVAILABLE": 6, "DEADLINE_EXCEEDED": 6}
EXIT_HELP = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not signed in, 4 not found, 5 not permitted, 6 not reachable."


def _checked(text: str) -> str:
    try:
        addresses.parsed(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return text


AddressOption = Annotated[
    str, typer.Option("--address", envvar="SEMANTIK_ADDRESS", help="The gateway's address, host:port or a URL.", callback=_checked)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
IdsOption = Annotated[bool, typer.Option("--ids", help="Show ids too.")]


@asynccontextmanager
async def client(address: str) -> AsyncIterator["Client"]:
    """Open a client with the stored sign-in of ``address``, and connect it; errors say what a person can do."""
    from semantik.client import Client, SemantikError
    from semantik.command.credentials import Credentials

    name = addresses.parsed(address).name
    async with Client(address, token_store=Credentials(name)) as opened:
        try:
            await opened.connect()
            yield opened
        except SemantikError as error:
            raise _explained(error, name, is_signed_in=opened.session.tokens is not None) from error


def _explained(error: "SemantikError", name: str, *, is_signed_in: bool) -> "SemantikError":
    """Return the error in words for a person at a terminal."""
    message = error.message
    if error.code == "UNAVAILABLE" and not error.reason:
        message = f"nothing answers at {name}; {_advice(name)}"
    elif error.code == "UNAUTHENTICATED" and error.reason != "CREDENTIALS_WRONG":
        message = f"your sign-in at {name} has ended" if is_signed_in else f"you are not signed in at {name}"
    return type(error)(error.code, error.reason, message, error.metadata, field=error.field, correlation_id=error.correlation_id)


def _advice(name: str) -> str:
    """Return where this account's own mesh is, if one runs and not at the address ``name``, or how to start one."""
    try:
        mesh = importlib.import_module("deploy.local.mesh")
    except ImportError:  # only the SDK is installed
        mesh = None
    directory = os.environ.get("SEMANTIK_DATA_DIR")
    gateway = mesh and mesh.status(Path(directory) if directory else None)["gateway"]
    if gateway and addresses.parsed(gateway).name != name:
        return f"your Semantik is at {gateway}: export SEMANTIK_ADDRESS={gateway}"
    return "start Semantik with `semantik up`, or set SEMANTIK_ADDRESS"


def run(work: Coroutine[Any, Any, int | None]) -> None:
    """Run a command to its exit code; an error is one sentence on standard error."""
    import asyncio

    import grpc

    from semantik.client import SemantikError

    try:
        code = asyncio.run(work)
    except SemantikError as error:
        hint = " Sign in with `semantik login NAME`." if error.code == "UNAUTHENTICATED" and error.reason != "CREDENTIALS_WRONG" else ""
        err.print(f"[red]error:[/] {escape(error.message)} [dim]({escape(error.reason or error.code)})[/]{hint}")
        if os.environ.get("SEMANTIK_VERBOSE") and error.correlation_id:
            err.print(f"correlation id: {escape(error.correlation_id)}", style="dim")
        raise typer.Exit(EXIT_CODES.get(error.code, 1)) from error
    except grpc.aio.AioRpcError as error:
        fail(error.details() or error.code().name, EXIT_CODES.get(error.code().name, 1))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    raise typer.Exit(code or 0)


def fail(message: str, code: int = 1) -> None:
    """Print an error, which may hold anything, and end the command."""
    err.print(f"[red]error:[/] {escape(message)}")
    raise typer.Exit(code)


def password(prompt: str = "Password", *, confirm: bool = False) -> str:
    """Return the password from SEMANTIK_PASSWORD, a pipe or a prompt; never from the command line."""
    given = os.environ.get("SEMANTIK_PASSWORD")
    if given is None and not sys.stdin.isatty():
        given = sys.stdin.readline().rstrip("\n")
    if given is None:
        given = str(typer.prompt(prompt, hide_input=True, confirmation_prompt=confirm))
    return given

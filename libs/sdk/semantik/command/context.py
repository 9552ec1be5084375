"""What every command needs: the address, the sign-in, output, and the exit codes of errors."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Annotated, Any

import grpc
import rich.markup
import typer
from google.protobuf import json_format
from google.protobuf.message import Message
from rich.console import Console
from rich.table import Table

from semantik.client import Client, SemantikError
from semantik.command.credentials import Credentials

_UNWRAPPED = 100_000
# Terminal codes, and what reorders text or has no width; joiners stay, which some scripts need.
_INVISIBLE = (0x061C, 0x200B, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2060, 0x2070), 0xFEFF)
_CONTROL = {code: "\ufffd" for code in (*range(32), *range(127, 160), *_INVISIBLE) if chr(code) not in "\t\n"}
DEFAULT_ADDRESS = "127.0.0.1:8080"
EXIT_CODES = {"UNAUTHENTICATED": 3, "NOT_FOUND": 4, "PERMISSION_DENIED": 5, "UNAVAILABLE": 6, "DEADLINE_EXCEEDED": 6}
EXIT_HELP = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not signed in, 4 not found, 5 not permitted, 6 not reachable."

# Output to a file or a program is not wrapped.
out = Console(highlight=False, width=None if sys.stdout.isatty() else _UNWRAPPED)
err = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else _UNWRAPPED)

AddressOption = Annotated[str, typer.Option("--address", envvar="SEMANTIK_ADDRESS", help="The gateway's address, host:port or a URL.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@asynccontextmanager
async def client(address: str) -> AsyncIterator[Client]:
    """Open a client with the stored sign-in of ``address``, which may be a URL; https means TLS."""
    scheme, _, rest = address.rpartition("://")
    host = rest.rstrip("/")
    async with Client(host, tls=scheme == "https", token_store=Credentials(host)) as opened:
        try:
            yield opened
        except SemantikError as error:
            if error.code == "UNAVAILABLE" and not error.reason:
                message = f"nothing answers at {host}; start Semantik with `semantik up`, or set SEMANTIK_ADDRESS"
                raise SemantikError(error.code, "", message) from error
            if error.code == "UNAUTHENTICATED" and opened.session.tokens is None and error.reason != "CREDENTIALS_WRONG":
                raise SemantikError(error.code, error.reason, "you are not signed in") from error
            raise


def run(work: Coroutine[Any, Any, int | None]) -> None:
    """Run a command to its exit code; an error is one sentence on standard error."""
    try:
        code = asyncio.run(work)
    except SemantikError as error:
        hint = " Sign in with `semantik login`." if error.code == "UNAUTHENTICATED" and error.reason != "CREDENTIALS_WRONG" else ""
        err.print(f"[red]error:[/] {escape(error.message)} [dim]({error.reason or error.code})[/]{hint}")
        if os.environ.get("SEMANTIK_VERBOSE") and error.correlation_id:
            err.print(f"correlation id: {error.correlation_id}", style="dim")
        raise typer.Exit(EXIT_CODES.get(error.code, 1)) from error
    except grpc.aio.AioRpcError as error:
        err.print(f"[red]error:[/] {escape(error.details() or error.code().name)}")
        raise typer.Exit(EXIT_CODES.get(error.code().name, 1)) from error
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    raise typer.Exit(code or 0)


def printable(text: str) -> str:
    """Return the text with U+FFFD for each character that controls the terminal, the order of a line or nothing visible."""
    return text.translate(_CONTROL)


def escape(text: str) -> str:
    """Return untrusted text as markup that prints it and does nothing else."""
    return rich.markup.escape(printable(text))


def print_json(value: Message | list[Message] | dict[str, Any]) -> None:
    """Print messages as one JSON document, named as the JSON API names them."""
    text = json.dumps(plain(value), ensure_ascii=False)
    sys.stdout.write(re.sub("[\x7f-\x9f]", lambda control: f"\\u{ord(control[0]):04x}", text) + "\n")
    sys.stdout.flush()


def plain(value: Any) -> Any:
    if isinstance(value, Message):
        return json_format.MessageToDict(value, always_print_fields_with_no_presence=True)
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def table(*names: str) -> Table:
    """Return an empty table with these columns; ids are never cut, so that they can be copied."""
    rows = Table(box=None, header_style="bold")
    for name in names:
        rows.add_column(name, overflow="fold", no_wrap=name == "ID")
    return rows


def password(prompt: str = "Password", *, confirm: bool = False) -> str:
    """Return the password from SEMANTIK_PASSWORD, a pipe or a prompt; never from the command line."""
    given = os.environ.get("SEMANTIK_PASSWORD")
    if given is None and not sys.stdin.isatty():
        given = sys.stdin.readline().rstrip("\n")
    if given is None:
        given = str(typer.prompt(prompt, hide_input=True, confirmation_prompt=confirm))
    return given

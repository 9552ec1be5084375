"""semantik register, login, logout, whoami, open."""

import os
import sys
import webbrowser
from typing import Annotated

import typer

from semantik.address import parsed
from semantik.command.context import DEFAULT_ADDRESS, AddressOption, JsonOption, client, escape, out, password, print_json, run, word

_NEW = "Password (at least 8 characters)"
Username = Annotated[str, typer.Argument(help="Your username.")]


def register(
    username: Username,
    email: Annotated[str, typer.Option("--email", help="Your email address.", prompt=True)],
    full_name: Annotated[str, typer.Option("--name", help="Your full name.")] = "",
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Create an account and sign in. The first account administers this installation.

    The password, 8 characters or more, is prompted for, or read from SEMANTIK_PASSWORD or standard input.
    """

    async def work() -> None:
        async with client(address) as semantik:
            user = await semantik.accounts.register(username, email, password(_NEW, confirm=True), full_name)
            print_json(user) if as_json else out.print(
                f"Welcome, [bold]{escape(user.username)}[/]: you are signed in at {parsed(address).name}."
            )

    run(work())


def login(
    username: Annotated[str, typer.Argument(help="Your username or email address.")],
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Sign in. The password is prompted for, or read from SEMANTIK_PASSWORD or standard input."""

    async def work() -> None:
        async with client(address) as semantik:
            user = await semantik.accounts.login(username, password())
            print_json(user) if as_json else out.print(f"Signed in as [bold]{escape(user.username)}[/] at {parsed(address).name}.")

    run(work())


def logout(address: AddressOption = DEFAULT_ADDRESS, as_json: JsonOption = False) -> None:
    """Sign out and end the session on the server."""

    async def work() -> None:
        async with client(address) as semantik:
            was_signed_in = semantik.session.tokens is not None
            await semantik.accounts.logout()
            print_json({"signedOut": was_signed_in}) if as_json else out.print("Signed out.")

    run(work())


def whoami(address: AddressOption = DEFAULT_ADDRESS, as_json: JsonOption = False) -> None:
    """Show the user who is signed in."""

    async def work() -> None:
        async with client(address) as semantik:
            user = await semantik.accounts.me()
            if as_json:
                print_json(user)
            else:
                out.print(f"[bold]{escape(user.username)}[/] <{escape(user.email)}>, {word(user, 'role')}")

    run(work())


def open_app(
    address: AddressOption = DEFAULT_ADDRESS,
    *,
    show: Annotated[bool, typer.Option("--print", help="Print the link and open nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Open the browser app, signed in as you are here. The link signs in once, within five minutes."""

    async def work() -> None:
        async with client(address) as semantik:
            link = f"{parsed(address).url}/sign-in#code={await semantik.accounts.sign_in_code()}"
            if as_json:
                print_json({"link": link})
            else:
                out.print(link, soft_wrap=True)
        if not show and not as_json and _has_screen():
            webbrowser.open(link)

    run(work())


def _has_screen() -> bool:
    """Return whether a browser would open in a window, not in this terminal."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))

"""``make e2e``: the browser app as people use it, on a mesh of its own, from the first account to a restart in mid-watch.

Pictures of every page, light and dark, wide and narrow, are in ``build/e2e``.
"""

import asyncio
import gzip
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, expect

from deploy.local.supervisor import Mesh, Options, running
from gateway.render import built_app
from semantik.client import Client
from tests.browser import app
from tests.browser.app import ROOT, App

_PASSWORD = "correct horse battery staple"
_PICTURES = ROOT / "build" / "e2e"
_TEXTS = {
    "tide.txt": "The tide follows the moon, twice a day. It is higher at new and full moon.",
    "bread.md": (
        "# Bread\n\nKnead the dough for **ten minutes**, and let it rest in a warm place.\n\n"
        "| flour | water |\n|---|---|\n| 500 g | 350 g |"
    ),
    "gates.py": "def close(gate):\n    '''Close the gate in the river wall before the water is too high.'''\n    gate.lower()\n",
}
_QUERIES = ("moon", "how long to knead", "river wall", "warm place for dough", "twice a day")
_MANY = 400
_VARIANTS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "narrow-light": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}},
    "narrow-dark": {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}},
}


class Walk:
    """The steps, one after another; what one leaves the next finds."""

    def __init__(self, browser: Browser, mesh: Mesh, directory: Path) -> None:
        self._browser = browser
        self._mesh = mesh
        self._directory = directory
        self._collection = self._hit = ""
        self.passed: list[str] = []
        self.failed: dict[str, str] = {}
        self.faults: list[str] = []
        self.reports: list[str] = []
        self.type_to_hits: list[float] = []

    async def all(self) -> None:
        async with self._person() as ada:
            for step in (
                self.first_run,
                self.search_as_you_type,
                self.open_each_viewer,
                self.cancel,
                self.go_offline,
                self.restart,
                self.sign_in_by_link,
            ):
                if not await self._step(step, ada):
                    break
        for name, options in _VARIANTS.items():
            async with self._person(**options) as somebody:
                await self._step(lambda tab, name=name: self.pictures(tab, name), somebody, f"pictures {name}")  # type: ignore[misc]

    async def first_run(self, ada: App) -> None:
        """From an empty installation to the first hit: under a minute, nothing read."""
        started = time.perf_counter()
        await ada.register("ada", _PASSWORD, is_first=True)
        await ada.create_collection("Notes")
        self._collection = ada.page.url.removeprefix(ada.url).partition("?")[0]
        await ada.upload(_TEXTS)
        await ada.search("moon")
        took = time.perf_counter() - started
        _say(f"first run to first hit: {took:.1f} s")
        if took > 60:
            raise AssertionError(f"the first hit took {took:.0f} s")

    async def search_as_you_type(self, ada: App) -> None:
        """From the last letter to the hits, as a person sees it."""
        await ada.search("moon")
        for query in _QUERIES * 3:
            await ada.page.locator("#query").fill("")
            await expect(ada.page.locator(".hit")).to_have_count(0)
            await ada.page.locator("#query").fill(query)
            started = time.perf_counter()
            await ada.page.locator(".hit").first.wait_for()
            self.type_to_hits.append((time.perf_counter() - started) * 1000)

    async def open_each_viewer(self, ada: App) -> None:
        """Text, Markdown and code, each at the hit."""
        for query, name in (("moon", "tide.txt"), ("knead the dough", "bread.md"), ("close the gate", "gates.py")):
            await ada.search(query)
            await expect(ada.page.locator(".hit .title").first).to_have_text(name)
            await ada.page.keyboard.press("Enter")
            await ada.sees(name)
            await expect(ada.page.locator("article mark")).not_to_be_empty()
            self._hit = ada.page.url.removeprefix(ada.url)
        await ada.page.go_back()
        await expect(ada.page.locator("#query")).to_have_value("close the gate")

    async def cancel(self, ada: App) -> None:
        """A folder of many files, stopped in its middle."""
        await self._index_many(ada, "first")
        await ada.page.get_by_role("button", name="Cancel").first.click()
        await expect(ada.page.get_by_role("region", name="Running now")).to_have_count(0)
        await ada.open("/operations")
        await expect(ada.page.get_by_text("cancelled").first).to_be_visible()

    async def go_offline(self, ada: App) -> None:
        """Without a network it says so, and it goes on by itself."""
        await ada.search("moon")
        await ada.page.context.set_offline(offline=True)
        await ada.page.locator("#query").fill("bread and water")
        await expect(ada.page.get_by_role("alert")).to_contain_text("cannot be reached")
        await ada.page.context.set_offline(offline=False)
        await ada.page.get_by_role("button", name="Try again").click()
        await expect(ada.page.locator(".hit").first).to_be_visible()

    async def restart(self, ada: App) -> None:
        """The services start again while work is watched: it is followed to its end, by the same page and session."""
        await self._index_many(ada, "second")
        await ada.page.get_by_role("region", name="Running now").get_by_role("link").first.click()
        await ada.sees("Index")
        for child in self._mesh.children:
            if child.spec.name in ("operation", "envoy", "auth"):
                await child.stop()
                child.start()
        await expect(ada.page.locator("main .badge", has_text="done")).to_be_visible(timeout=180_000)

    async def sign_in_by_link(self, ada: App) -> None:
        """A link is made in one browser and used, once, in another."""
        await ada.open("/profile")
        await ada.sees("Profile")
        token = await self._token()
        async with self._person() as other:
            await other.open(f"/sign-in#code={token}")
            await other.sees("Collections")

    async def pictures(self, somebody: App, name: str) -> None:
        """Each page, and what axe finds on it."""
        await somebody.open("/")
        await somebody.sees("Sign in")
        await self._picture(somebody, f"sign-in-{name}")
        await somebody.sign_in("ada", _PASSWORD)
        await somebody.sees("Collections")
        pages = {"home": "/", "documents": self._collection, "sources": f"{self._collection}?tab=sources"}
        pages |= {"settings": f"{self._collection}?tab=settings", "search": "/search?q=moon", "viewer": self._hit}
        pages |= {"operations": "/operations", "models": "/models", "profile": "/profile", "nowhere": "/nowhere"}
        for page, path in pages.items():
            await somebody.open(path)
            await expect(somebody.page.get_by_role("heading").first).to_be_visible()
            await expect(somebody.page.locator(".skeleton")).to_have_count(0)
            await self._picture(somebody, f"{page}-{name}")

    async def _picture(self, somebody: App, name: str) -> None:
        await somebody.page.screenshot(path=str(_PICTURES / f"{name}.png"))
        self.faults += [f"{name}: {fault}" for fault in await somebody.serious_faults()]

    async def _index_many(self, ada: App, name: str) -> None:
        folder = self._directory / name
        folder.mkdir()
        for number in range(_MANY):
            (folder / f"{number}.txt").write_text(f"{name} {number}. " + " ".join(f"word{number * 31 + each}" for each in range(120)))
        await ada.open(f"{self._collection}?tab=sources")
        await ada.page.get_by_label("Folder on the server").fill(str(folder))
        await ada.page.get_by_role("button", name="Add a folder").click()
        await expect(ada.page.get_by_role("region", name="Running now").get_by_text("running", exact=True)).to_be_visible()

    async def _token(self) -> str:

        async with Client(self._mesh.gateway.removeprefix("http://")) as client:
            await client.accounts.login("ada", _PASSWORD)
            return await client.accounts.sign_in_code()

    async def _step(self, step: Callable[[App], Awaitable[None]], tab: App, name: str = "") -> bool:
        name = name or step.__name__.replace("_", " ")
        try:
            await step(tab)
        except Exception as error:  # noqa: BLE001 - the walk says what failed, whatever it was
            self.failed[name] = str(error).split("\n", 1)[0]
            await tab.page.screenshot(path=str(_PICTURES / f"failed-{name.replace(' ', '-')}.png"))
            _say(f"FAILED {name}: {error}")
            return False
        self.passed.append(name)
        _say(f"ok {name}")
        return True

    @asynccontextmanager
    async def _person(self, **options: Any) -> AsyncIterator[App]:
        async with app.person(self._browser, self._mesh.gateway, **options) as tab:
            yield tab
            self.reports += tab.complaints


def _say(text: str) -> None:
    sys.stdout.write(f"e2e: {text}\n")
    sys.stdout.flush()


def _first_load_kb(folder: Path) -> float:
    """Return what a first visit loads, compressed: the page and all that it names."""
    page = (folder / "index.html").read_text()
    named = [path for path in folder.rglob("*") if path.is_file() and (path.name == "index.html" or f"/{path.relative_to(folder)}" in page)]
    return round(sum(len(gzip.compress(path.read_bytes())) for path in named) / 1000, 1)


async def _run(program: str, folder: Path) -> dict[str, Any]:
    shutil.rmtree(_PICTURES, ignore_errors=True)
    _PICTURES.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="semantik-e2e-") as scratch:
        directory = Path(scratch)
        options = Options(data_dir=directory / "data", port=None, allowed_roots=(directory,))
        async with running(options) as mesh, app.browser(program) as browser:
            await mesh.start()
            await mesh.wait_ready()
            walk = Walk(browser, mesh, directory)
            await walk.all()
    for found in (*walk.faults, *walk.reports):
        _say(found)
    return {
        "name": "e2e",
        "passed": len(walk.passed),
        "failed": len(walk.failed),
        "serious_axe": len(walk.faults),
        "csp_reports": len([report for report in walk.reports if report.startswith("CSP")]),
        "complaints": len(walk.reports),
        "gzip_kb": _first_load_kb(folder),
        "type_to_hits_p50_ms": round(statistics.median(walk.type_to_hits), 1) if walk.type_to_hits else None,
    }


def main() -> None:
    program, folder = app.chromium(), built_app()
    if program is None or folder is None:
        sys.exit("e2e: needs Chromium (Debian's package `chromium`) and the built app (`make web`)")
    result = asyncio.run(_run(program, folder))
    sys.stdout.write(json.dumps(result) + "\n")
    sys.exit(1 if result["failed"] else 0)


if __name__ == "__main__":
    main()

"""The browser app as a person uses it: a page of a real Chromium, and what it complained of."""

import re
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

ROOT = Path(__file__).resolve().parents[2]
_AXE = ROOT / "gateway" / "web" / "node_modules" / "axe-core" / "axe.min.js"
_NAMES = ("chromium", "chromium-browser", "google-chrome")
# On a busy machine a page takes its time.
_PATIENCE_MS = 60_000
_REPORTS = """
addEventListener("securitypolicyviolation", (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`));
"""


def chromium() -> str | None:
    """Return the path of an installed Chromium."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


@asynccontextmanager
async def browser(program: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        # A container's root cannot make Chromium's own sandbox.
        opened = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield opened
        finally:
            await opened.close()


@dataclass
class App:
    """One tab; ``complaints`` are errors of the page and violations of its policy."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    async def open(self, path: str = "/") -> None:
        await self.page.goto(self.url + path)

    async def register(self, username: str, password: str, *, is_first: bool = False) -> None:
        """Register, and arrive at the collections."""
        await self.open()
        if not is_first:
            await self.page.get_by_role("button", name="No account yet? Create one").click()
        await self.page.get_by_label("Username").fill(username)
        await self.page.get_by_label("Email").fill(f"{username}@example.org")
        await self.page.get_by_label("Password").fill(password)
        await self.page.locator("form button[type=submit]").click()
        await self.sees("Collections")

    async def sign_in(self, username: str, password: str) -> None:
        await self.page.get_by_label("Username or email").fill(username)
        await self.page.get_by_label("Password").fill(password)
        await self.page.locator("form button[type=submit]").click()

    async def create_collection(self, name: str) -> None:
        await self.page.get_by_role("button", name="New collection").first.click()
        await self.page.get_by_label("Name").fill(name)
        await self.page.locator("dialog button[type=submit]").click()
        await self.sees(name)

    async def upload(self, files: Mapping[str, str]) -> None:
        """Choose files on a collection's page, and wait until each is indexed."""
        chosen: list[Any] = [{"name": name, "mimeType": "text/plain", "buffer": text.encode()} for name, text in files.items()]
        await self.page.get_by_label("Choose files", exact=True).set_input_files(chosen)
        indexed = self.page.locator(".documents .badge.good", has_text="indexed")
        await expect(indexed).to_have_count(len(files), timeout=_PATIENCE_MS)

    async def search(self, query: str) -> None:
        await self.page.keyboard.press("Escape")
        if not await self.page.locator("#query").count():
            await self.page.get_by_role("navigation", name="Semantik").get_by_role("link", name="Search").click()
        await self.page.locator("#query").fill(query)
        await expect(self.page.locator(".hit").first).to_be_visible(timeout=_PATIENCE_MS)

    async def sees(self, heading: str) -> None:
        await expect(self.page.get_by_role("heading", name=heading, level=1)).to_be_visible(timeout=_PATIENCE_MS)

    async def serious_faults(self) -> list[str]:
        """Return what axe finds that keeps people out, serious or worse."""
        await self.page.evaluate(_AXE.read_text())
        results = await self.page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
        found = [fault for fault in results["violations"] if fault["impact"] in ("serious", "critical")]
        return [f"{fault['id']}: {fault['nodes'][0]['html'][:160]}" for fault in found]


async def tab(context: BrowserContext, url: str) -> App:
    """Open a tab and note what it complains of."""
    page = await context.new_page()
    page.set_default_timeout(_PATIENCE_MS)
    app = App(page, url)
    page.on("pageerror", lambda error: app.complaints.append(str(error)))
    page.on("console", lambda message: app.complaints.append(message.text) if _is_complaint(message.type, message.text) else None)
    return app


def _is_complaint(kind: str, text: str) -> bool:
    # A refused call is an error to the browser, and an answer to the app.
    return kind == "error" and not re.search(r"Failed to load resource|net::ERR", text)


@asynccontextmanager
async def person(browser: Browser, url: str, **options: Any) -> AsyncIterator[App]:
    """Open a tab of somebody who was never here."""
    context = await browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
    await context.add_init_script(_REPORTS)
    try:
        yield await tab(context, url)
    finally:
        await context.close()

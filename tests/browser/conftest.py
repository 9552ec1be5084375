"""A Chromium before the session's mesh."""

import uuid
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser

from deploy.local.supervisor import Mesh
from gateway.render import built_app
from tests.browser import app
from tests.browser.app import App

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    program = app.chromium()
    if program is None or built_app() is None:
        pytest.skip("needs Chromium (Debian's package `chromium`) and the built app (`make web`)")
    async with app.browser(program) as opened:
        yield opened


@pytest.fixture
async def ada(browser: Browser, mesh: Mesh) -> AsyncIterator[App]:
    """Somebody who has just registered; the page may complain of nothing."""
    async with app.person(browser, mesh.gateway) as tab:
        await tab.register(f"ada-{uuid.uuid4().hex[:12]}", PASSWORD)
        yield tab
        assert tab.complaints == []

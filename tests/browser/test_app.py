"""The browser app, before a real mesh."""

import pytest
from playwright.async_api import expect

from tests.browser.app import App, tab

_TIDE = "The tide follows the moon, twice a day. 😀 It is higher at new and full moon."
_BREAD = "Knead the dough for ten minutes, and let it rest in a warm place."
_MARKUP = '<img src=x onerror="document.title=1"><script>document.title = 2</script><b>bold</b>'


async def test_a_person_uploads_searches_and_opens_what_is_found(ada: App) -> None:
    """By the keyboard alone, from the search on."""
    await ada.create_collection("Notes")
    await ada.upload({"tide.txt": _TIDE, "bread.txt": _BREAD})
    await ada.search("moon and sea")
    await expect(ada.page.locator(".hit .title").first).to_have_text("tide.txt")
    await expect(ada.page.locator(".hit mark").first).to_have_text("moon")
    await ada.page.keyboard.press("Enter")
    await ada.sees("tide.txt")
    await expect(ada.page.locator("article mark")).to_have_text(_TIDE)


async def test_the_address_holds_the_search(ada: App) -> None:
    """Reloaded, or sent to somebody, it shows the same."""
    await ada.create_collection("Notes")
    await ada.upload({"tide.txt": _TIDE})
    await ada.search("tide")
    await ada.page.get_by_label("How to search").select_option("words")
    await expect(ada.page).to_have_url(f"{ada.url}/search?q=tide&mode=words")
    await ada.page.reload()
    await expect(ada.page.locator("#query")).to_have_value("tide")
    await expect(ada.page.locator(".hit mark").first).to_have_text("tide")


@pytest.mark.abuse(30, 35)
async def test_what_people_wrote_is_never_markup(ada: App) -> None:
    """Neither the name of a collection or a file, nor a text, a snippet, or Markdown."""
    name = "<b>bold</b> <img src=x onerror=alert(1)>"
    await ada.create_collection(name)
    await ada.upload({"<i>slanted<!-- .md": f"# Heading\n\n{_MARKUP}\n\n[link](javascript:alert(1))"})
    await ada.search("heading bold")
    await expect(ada.page.locator(".preview .passage")).to_contain_text("<script>")
    await ada.page.keyboard.press("Enter")
    await ada.sees("<i>slanted<!-- .md")
    await expect(ada.page.locator("article")).to_contain_text(_MARKUP)
    formatted = ada.page.get_by_role("button", name="Formatted")
    if await formatted.count():
        await formatted.click()
        await expect(ada.page.locator("article h1")).to_have_text("Heading")
        assert await ada.page.locator("article :is(img, script, b)").count() == 0
        assert not await ada.page.locator("article a[href^='javascript']").count()
    assert await ada.page.title() == "Semantik"
    assert await ada.page.locator("main :is(script, i, img)").count() == 0


async def test_tabs_share_a_session(ada: App) -> None:
    """A new tab is signed in without a form, and whoever signs out in one is signed out in all."""
    other = await tab(ada.page.context, ada.url)
    await other.open("/profile")
    await other.sees("Profile")
    await ada.page.get_by_role("button", name="Sign out", exact=True).click()
    await other.sees("Sign in")
    await ada.page.reload()
    await ada.sees("Sign in")
    assert other.complaints == []


@pytest.mark.abuse(3)
async def test_scripts_cannot_read_the_refresh_token(ada: App) -> None:
    """It is in a cookie, and nowhere that a page's script reaches."""
    cookies = await ada.page.context.cookies()
    assert [(each["httpOnly"], each["sameSite"], each["path"]) for each in cookies] == [(True, "Strict", "/semantik.auth.v1.AuthService")]
    held = await ada.page.evaluate("() => JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])")
    assert "smr_" not in held
    assert "eyJ" not in held


async def test_a_wrong_password_is_said_in_words(ada: App) -> None:
    """The form stays, and the right one gets in."""
    await ada.page.get_by_role("button", name="Sign out", exact=True).click()
    await ada.sees("Sign in")
    await ada.sign_in("nobody-at-all", "wrong")
    await expect(ada.page.get_by_role("alert")).to_contain_text("The username or the password is wrong.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_page_keeps_anybody_out(ada: App, scheme: str) -> None:
    """For readers of screens and users of the keyboard: axe finds nothing serious."""
    await ada.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    await ada.create_collection("Notes")
    await ada.upload({"tide.txt": _TIDE})
    collection = ada.page.url.removeprefix(ada.url).partition("?")[0]
    await ada.search("moon")
    faults = {"search": await ada.serious_faults()}
    await ada.page.keyboard.press("Enter")
    await ada.sees("tide.txt")
    faults["viewer"] = await ada.serious_faults()
    pages = {"/": "Collections", collection: "Notes", f"{collection}?tab=sources": "Notes", f"{collection}?tab=settings": "Notes"}
    pages |= {"/operations": "Operations", "/models": "Models", "/profile": "Profile"}
    for path, heading in pages.items():
        await ada.open(path)
        await ada.sees(heading)
        faults[path] = await ada.serious_faults()
    await ada.page.get_by_role("button", name="Sign out", exact=True).click()
    await ada.sees("Sign in")
    faults["/sign-in"] = await ada.serious_faults()
    assert {path: found for path, found in faults.items() if found} == {}


@pytest.mark.abuse(3)
async def test_a_page_carries_no_credentials_by_itself(ada: App) -> None:
    """A request that the app did not make, as a foreign page could have a browser make it, is nobody's."""
    status = await ada.page.evaluate("async () => (await fetch('/v1/users/me', {credentials: 'include'})).status")
    assert status == 401


async def test_a_link_that_was_used_says_so(ada: App) -> None:
    """And its code does not stay in the address."""
    await ada.open("/sign-in#code=smc_used")
    await expect(ada.page.get_by_role("alert")).to_contain_text("This sign-in link was used or has expired.")
    assert "code" not in ada.page.url

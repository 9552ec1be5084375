"""The browser app: its files, its pages, and nothing else of the disk."""

import httpx
import pytest

from tests.gateway.conftest import PAGE, SCRIPT
from tests.gateway.standin import StandIn

BROWSER = {"accept": "text/html,application/xhtml+xml"}


@pytest.mark.parametrize("path", ["/", "/sign-in", "/collections/0190/documents?state=FAILED", "/v2/anything"])
async def test_each_address_of_a_page_is_the_app(http: httpx.AsyncClient, path: str) -> None:
    """The app itself finds out which page an address is."""
    response = await http.get(path, headers=BROWSER)
    assert (response.status_code, response.text) == (200, PAGE)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    policy = response.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "sandbox" not in policy


async def test_a_page_that_did_not_change_is_not_sent_again(http: httpx.AsyncClient) -> None:
    """It has a tag by its content."""
    tag = (await http.get("/", headers=BROWSER)).headers["etag"]
    again = await http.get("/collections", headers={**BROWSER, "if-none-match": f'"other", {tag}'})
    assert (again.status_code, again.content) == (304, b"")
    assert (await http.get("/", headers={**BROWSER, "if-none-match": '"other"'})).status_code == 200


async def test_a_file_named_by_its_content_is_kept_for_a_year(http: httpx.AsyncClient) -> None:
    """It travels compressed, with the headers of the pages."""
    response = await http.get("/assets/index-a1B2c3D4.js")
    assert (response.status_code, response.text) == (200, SCRIPT)
    assert response.headers["content-type"] == "text/javascript; charset=utf-8"
    assert response.headers["content-encoding"] == "gzip"
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "script-src 'self'" in response.headers["content-security-policy"]


async def test_a_file_with_a_lasting_name_is_asked_for_again(http: httpx.AsyncClient) -> None:
    """An icon may change with a new version."""
    response = await http.get("/favicon.svg")
    assert (response.status_code, response.text) == (200, "<svg/>")
    assert response.headers["cache-control"] == "public, max-age=3600"


async def test_head_says_what_get_would(http: httpx.AsyncClient) -> None:
    """Without the bytes."""
    response = await http.head("/favicon.svg")
    assert (response.status_code, response.headers["content-length"], response.content) == (200, "6", b"")


@pytest.mark.abuse(9, 35)
@pytest.mark.parametrize(
    "path",
    [
        "/assets/../../secret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/assets/%2e%2e/%2e%2e/secret.txt",
        "/assets/..%252f..%252fsecret.txt",
        "/assets/....//....//secret.txt",
        "/assets//../../secret.txt",
        "/assets/index-a1B2c3D4.js/../../../secret.txt",
        "/assets/..\\..\\secret.txt",
        "/../secret.txt",
        "/secret.txt",
        "/app/index.html",
        "/index.html",
        "/assets/",
        "/assets",
        "/assets/other.js",
        "//etc/passwd",
        "/assets/index-a1B2c3D4.js%00.svg",
        "/favicon.svg/",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_only_files_of_the_app_are_served(http: httpx.AsyncClient, path: str, method: str) -> None:
    """Every file has a route of its own, so no spelling of a path leads elsewhere."""
    url = http.base_url.copy_with(raw_path=path.encode())
    response = await http.request(method, url)
    assert response.status_code in {400, 404, 405}
    assert b"nobody reads this" not in response.content
    assert SCRIPT.encode() not in response.content


@pytest.mark.usefixtures("standin")
@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/users/me", "/openai/v1/models", "/.well-known/jwks.json"])
async def test_an_rpc_is_no_page_for_a_browser_either(http: httpx.AsyncClient, path: str) -> None:
    """Who types the address of an RPC gets its answer."""
    response = await http.get(path, headers=BROWSER)
    assert "text/html" not in response.headers["content-type"]
    assert "sandbox" in response.headers["content-security-policy"]


async def test_a_program_that_asks_at_the_root_is_told_what_answers(http: httpx.AsyncClient) -> None:
    """As before there was an app."""
    assert (await http.get("/")).json()["name"] == "Semantik"


@pytest.mark.abuse(9)
async def test_the_scheme_is_the_connections(http: httpx.AsyncClient, standin: StandIn) -> None:
    """A client does not choose whether its cookie is for encrypted connections alone."""
    await http.get("/v1/users/me", headers={"x-client-scheme": "https", "x-forwarded-proto": "https"})
    assert standin.seen["GetMe"]["x-client-scheme"] == "http"

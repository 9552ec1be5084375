"""The rates of calls in a whole mesh: the gateway, auth and Redis know each other."""

from collections.abc import Awaitable, Callable

import httpx

from tests.conftest import PASSWORD, Person


async def test_a_mesh_counts_sign_ins_and_changes(address: str, person: Callable[[], Awaitable[Person]]) -> None:
    """A sign-in is counted by its address, a change by its user; what only reads is not counted."""
    ada = await person()
    async with httpx.AsyncClient(base_url=f"http://{address}", timeout=60) as http:
        signed_in = await http.post("/v1/auth:login", json={"username": ada.user.username, "password": PASSWORD})
        changed = await http.delete("/v1/users/me/sessions/7b6d7a7c-2a3e-4c61-9a63-0f1f5f7f6c11", headers=ada.headers)
        read = await http.get("/v1/users/me", headers=ada.headers)
    assert signed_in.headers["x-ratelimit-limit"].startswith("1000000, ")
    assert changed.headers["x-ratelimit-limit"].startswith("60000, ")
    assert (read.status_code, "x-ratelimit-limit" in read.headers) == (200, False)

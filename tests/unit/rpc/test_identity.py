"""Access tokens and revocations: verified offline, remembered, and void when they should be."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from libs.rpc.errors import Failure
from libs.rpc.identity import Verifier, tokens
from libs.rpc.identity.revocations import Revocation
from semantik.auth.v1.user_pb2 import User


def _key() -> ECKey:
    key = ECKey.generate_key("P-256")
    key.ensure_kid()
    return key


OURS, NEXT, FOREIGN = _key(), _key(), _key()


def _signed(key: ECKey = OURS, header: dict[str, Any] | None = None, **changes: Any) -> str:
    now = time.time()
    claims = {"iss": "semantik", "aud": "semantik", "sub": "ada", "sid": "one", "role": "USER", "iat": now, "exp": now + 600} | changes
    head = {"alg": "ES256", "typ": "at+jwt", "kid": str(key.kid)} | (header or {})
    return jwt.encode(head, claims, key, algorithms=["ES256"])


def _coded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


class Auth:
    """The answers of auth: ``keys`` and ``pages`` may be changed, ``away`` refuses, ``hung`` holds answers back."""

    def __init__(self, *keys: ECKey, pages: Sequence[Sequence[Revocation]] = ()) -> None:
        self.keys = list(keys)
        self.pages = list(pages)
        self.away = False
        self.fetched = 0
        self.asked = asyncio.Event()
        self.hung: asyncio.Event | None = None

    async def jwks(self) -> str:
        self.fetched += 1
        self.asked.set()
        if self.hung is not None:
            await self.hung.wait()
        if self.away:
            raise ConnectionError("auth is away")
        return json.dumps(KeySet([*self.keys]).as_dict(private=False))

    async def revocations(self) -> AsyncIterator[Sequence[Revocation]]:
        for page in self.pages:
            if self.away:
                raise ConnectionError("auth is away")
            yield page


async def _verifier(auth: Auth) -> Verifier:
    verifier = Verifier(auth.jwks, auth.revocations)
    await verifier.refresh()
    return verifier


async def _refusal(verifier: Verifier, token: str) -> str:
    with pytest.raises(Failure) as caught:
        await verifier.authenticate(token)
    return caught.value.reason_name


async def test_a_token_leads_to_its_principal_and_is_verified_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The signature costs more than the rest of a call."""
    verifier, token = await _verifier(Auth(OURS)), _signed()
    first = await verifier.authenticate(token)
    assert (first.user_id, first.session_id, first.role) == ("ada", "one", User.ROLE_USER)
    monkeypatch.delattr(jwt, "decode")
    assert await verifier.authenticate(token) is first


async def test_a_remembered_token_ends_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds of skew are granted, as at the first time."""
    verifier, token = await _verifier(Auth(OURS)), _signed()
    await verifier.authenticate(token)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 609)
    await verifier.authenticate(token)
    monkeypatch.setattr(time, "time", lambda: now + 611)
    assert await _refusal(verifier, token) == "TOKEN_INVALID"


@pytest.mark.abuse(5)
@pytest.mark.parametrize("subject", ["ada", "one"])
async def test_a_revocation_voids_remembered_tokens_at_once(subject: str) -> None:
    """Of the user or of the session; one that the user gets afterwards, in another session, holds."""
    verifier = await _verifier(Auth(OURS))
    token = _signed()
    principal = await verifier.authenticate(token)
    moment = time.time() + 1
    verifier.revoke(Revocation(subject, moment))
    assert await _refusal(verifier, token) == "TOKEN_INVALID"
    with pytest.raises(Failure):
        await verifier.still_holds(principal)
    await verifier.authenticate(_signed(iat=moment + 1, sid="another"))
    if subject == "one":
        assert await _refusal(verifier, _signed(iat=moment + 1)) == "TOKEN_INVALID"


async def test_a_key_that_is_withdrawn_voids_what_it_signed() -> None:
    """Remembered or not."""
    auth, token = Auth(OURS, NEXT), _signed()
    verifier = await _verifier(auth)
    await verifier.authenticate(token)
    auth.keys = [NEXT]
    await verifier.refresh()
    assert await _refusal(verifier, token) == "TOKEN_INVALID"
    await verifier.authenticate(_signed(NEXT))


@pytest.mark.abuse(38)
async def test_memory_of_tokens_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one used longest ago goes first."""
    monkeypatch.setattr(tokens, "_MAX_REMEMBERED", 2)
    verifier = await _verifier(Auth(OURS))
    sent = [_signed(jti=str(number)) for number in range(3)]
    for token in (sent[0], sent[1], sent[0], sent[2]):
        await verifier.authenticate(token)
    monkeypatch.delattr(jwt, "decode")
    for token in (sent[0], sent[2]):
        await verifier.authenticate(token)
    with pytest.raises(AttributeError):
        await verifier.authenticate(sent[1])


NOW = time.time()
_NONE: tuple[Any, ...] = (float("nan"), float("inf"), "1", True, None, [])
_STRANGE: tuple[Any, ...] = ([], {}, ["a"], {"a": 1}, 1, None, True)
NUMBERS = {"nbf in the future": {"nbf": NOW + 3600}} | {
    f"{claim} {value!r}": {claim: value} for claim in ("exp", "iat", "nbf") for value in _NONE
}


@pytest.mark.abuse(2)
@pytest.mark.parametrize("changes", NUMBERS.values(), ids=NUMBERS)
async def test_a_token_with_a_moment_that_is_none_is_refused(changes: dict[str, Any]) -> None:
    """Though our own key signed it."""
    assert await _refusal(await _verifier(Auth(OURS)), _signed(**changes)) == "TOKEN_INVALID"


@pytest.mark.abuse(2)
async def test_a_moment_of_400_digits_is_refused() -> None:
    """It is a number, and none that a clock can hold."""
    assert await _refusal(await _verifier(Auth(OURS)), _signed(exp=10**400)) == "TOKEN_INVALID"


@pytest.mark.abuse(1)
@pytest.mark.parametrize(
    "credential",
    [
        "",
        "smk_0123456789",
        "a.b.c",
        "\u00e9.\u00e9.\u00e9",
        "\udcff.\udcff.\udcff",
        f"{_coded([])}.{_coded({})}.x",
        f"{_coded('text')}.{_coded({})}.x",
        base64.urlsafe_b64encode(b"[" * 2000).decode().rstrip("=") + ".e30.x",
        *(f"{_coded({'alg': 'ES256', 'typ': 'at+jwt', 'kid': kid})}.{_coded({})}.x" for kid in _STRANGE),
        *(f"{_coded({'alg': alg, 'typ': 'at+jwt', 'kid': str(OURS.kid)})}.{_coded({})}.x" for alg in (*_STRANGE, "none")),
    ],
)
async def test_what_is_no_token_is_refused_and_breaks_nothing(credential: str) -> None:
    """Whatever stands in its header."""
    assert await _refusal(await _verifier(Auth(OURS)), credential) == "TOKEN_INVALID"


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3), max_leaves=3
)


@pytest.mark.abuse(2)
@given(header=st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk"]), VALUES), rest=st.text(max_size=20))
async def test_no_header_of_a_strangers_choice_is_an_error_of_ours(header: dict[str, Any], rest: str) -> None:
    """The answer is TOKEN_INVALID."""
    verifier = await _verifier(Auth(OURS))
    assert await _refusal(verifier, f"{_coded(header)}.{rest.replace('.', '')}.x") == "TOKEN_INVALID"


@pytest.mark.abuse(5)
async def test_nothing_is_accepted_before_the_revocations_were_read_to_the_end() -> None:
    """A restart must not let a revoked token in: the newest revocation stands on the last page."""
    auth = Auth(OURS, pages=[[Revocation(f"session{number}", NOW)] for number in range(3)] + [[Revocation("one", NOW + 3600)]])
    verifier = Verifier(auth.jwks, auth.revocations)
    token = _signed()
    assert (verifier.is_ready, await _refusal(verifier, token)) == (False, "DEPENDENCY_UNAVAILABLE")
    auth.away = True
    with pytest.raises(ConnectionError):
        await verifier.refresh()
    assert (verifier.is_ready, await _refusal(verifier, token)) == (False, "DEPENDENCY_UNAVAILABLE")
    auth.away = False
    await verifier.refresh()
    assert (verifier.is_ready, await _refusal(verifier, token)) == (True, "TOKEN_INVALID")


@pytest.mark.abuse(5)
async def test_a_revocation_that_commits_late_is_found_by_the_next_round() -> None:
    """It stands before one that was read already."""
    auth = Auth(OURS, pages=[[Revocation("another", NOW + 100)]])
    verifier, token = await _verifier(auth), _signed()
    await verifier.authenticate(token)
    auth.pages.insert(0, [Revocation("one", NOW + 50)])
    await verifier.refresh()
    assert await _refusal(verifier, token) == "TOKEN_INVALID"


async def test_a_new_key_is_found_without_waiting_for_the_next_round() -> None:
    """Its first token leads to it."""
    auth = Auth(OURS)
    verifier = await _verifier(auth)
    auth.keys.append(NEXT)
    assert (await verifier.authenticate(_signed(NEXT))).user_id == "ada"


@pytest.mark.abuse(38)
async def test_unknown_keys_do_not_queue_while_auth_is_away() -> None:
    """All who ask at once share one attempt; who asks soon afterwards is answered at once; known keys work on."""
    auth = Auth(OURS)
    verifier = await _verifier(auth)
    auth.away, auth.asked, auth.hung, before = True, asyncio.Event(), asyncio.Event(), auth.fetched
    asking = [asyncio.create_task(_refusal(verifier, _signed(FOREIGN, jti=str(number)))) for number in range(50)]
    await auth.asked.wait()
    await verifier.authenticate(_signed())
    assert not any(task.done() for task in asking)
    auth.hung.set()
    assert set(await asyncio.gather(*asking)) == {"DEPENDENCY_UNAVAILABLE"}
    auth.hung = asyncio.Event()
    assert await _refusal(verifier, _signed(FOREIGN)) == "DEPENDENCY_UNAVAILABLE"
    assert auth.fetched == before + 1


@pytest.mark.abuse(38)
async def test_a_forger_does_not_make_us_ask_auth_each_time() -> None:
    """Once in five seconds."""
    auth = Auth(OURS)
    verifier = await _verifier(auth)
    assert [await _refusal(verifier, _signed(FOREIGN, jti=str(number))) for number in range(20)] == ["TOKEN_INVALID"] * 20
    assert auth.fetched == 2

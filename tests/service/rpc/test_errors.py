"""What a refusal carries, through the real mesh."""

import grpc
import httpx
import pytest

from libs.rpc.errors import reason_of
from semantik.client import SemantikError
from tests.conftest import Person


async def test_a_refusal_names_its_reason_field_and_correlation(ada: Person) -> None:
    """Whoever asks for help can quote an id that stands in the logs."""
    with pytest.raises(SemantikError) as caught:
        await ada.client.collections.get("not-a-uuid")
    assert (caught.value.code, caught.value.reason, caught.value.field) == ("INVALID_ARGUMENT", "INVALID_REQUEST", "collection_id")
    assert len(caught.value.correlation_id) == 32


async def test_a_correlation_id_given_comes_back_on_both_ends(ada: Person, http: httpx.AsyncClient) -> None:
    """The gateway passes the caller's id in and out."""
    for path, status in (("/v1/users/me", 200), ("/v1/collections/nonsense", 400)):
        response = await http.get(path, headers={**ada.headers, "x-correlation-id": "my-trace-1"})
        assert (response.status_code, response.headers["x-correlation-id"]) == (status, "my-trace-1")


@pytest.mark.abuse(13)
@pytest.mark.parametrize(
    ("sent", "why"),
    [(b"\x0a\x03\xed\xa0\x80", "bad UTF-8"), (b"\x0a\xff\xff", "Wire format was corrupt"), (b"\xff\xff\xff", "Wire format was corrupt")],
    ids=["a lone surrogate", "cut short", "noise"],
)
async def test_bytes_that_are_no_message_are_an_invalid_request(ada: Person, sent: bytes, why: str) -> None:
    """Over gRPC they get as far as the service, which says so."""
    call = ada.client.session.channel.unary_unary(
        "/semantik.embedding.v1.EmbeddingService/Embed", request_serializer=bytes, response_deserializer=bytes
    )(sent, metadata=(("authorization", f"Bearer {ada.token}"),))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert (caught.value.code(), reason_of(caught.value)) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert why in (caught.value.details() or "")


@pytest.mark.abuse(14)
async def test_a_lone_surrogate_in_json_is_an_invalid_request(ada: Person, http: httpx.AsyncClient) -> None:
    """The gateway refuses it, escaped or not."""
    for sent in (b'{"texts":["\\ud800"]}', b'{"texts":["\xed\xa0\x80"]}'):
        response = await http.post("/v1/embed", content=sent, headers={**ada.headers, "content-type": "application/json"})
        assert (response.status_code, response.json()["details"][0]["reason"]) == (400, "INVALID_REQUEST")

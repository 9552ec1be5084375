"""OpenAI's own client speaks to us through the gateway."""

import asyncio
import base64
from collections.abc import AsyncIterator

import httpx
import numpy as np
import openai
import pytest

from tests.conftest import Person

MODEL = "all-minilm-l6-v2"
TEXTS = ["heat transfer", "a flat plate", "größer"]


@pytest.fixture
async def client(ada: Person, http: httpx.AsyncClient) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{http.base_url}/openai/v1", api_key=ada.token, max_retries=0) as opened:
        yield opened


async def test_vectors_are_those_of_embed(client: openai.AsyncOpenAI, ada: Person) -> None:
    """One text, several, as numbers and as base64, which the client asks for by itself."""
    expected = [np.array(each.values, np.float32) for each in (await ada.client.embedding.embed(TEXTS)).embeddings]
    single = await client.embeddings.create(model=MODEL, input=TEXTS[0])
    several = await client.embeddings.create(model=MODEL, input=TEXTS, dimensions=len(expected[0]), user="ada")
    numbers = await client.embeddings.create(model=MODEL, input=TEXTS, encoding_format="float")
    assert (single.object, single.model, [each.index for each in single.data]) == ("list", MODEL, [0])
    assert [(each.index, each.object) for each in several.data] == [(0, "embedding"), (1, "embedding"), (2, "embedding")]
    for made in (several, numbers):
        for vector, each in zip(expected, made.data, strict=True):
            np.testing.assert_array_equal(np.array(each.embedding, np.float32), vector)
    np.testing.assert_array_equal(np.array(single.data[0].embedding, np.float32), expected[0])


async def test_the_tokens_read_are_counted(client: openai.AsyncOpenAI, ada: Person) -> None:
    """Special ones included, all texts together."""
    made = await client.embeddings.create(model=MODEL, input=TEXTS)
    count = sum(await ada.client.embedding.count_tokens(TEXTS))
    assert (made.usage.prompt_tokens, made.usage.total_tokens) == (count, count)


async def test_models_are_listed(client: openai.AsyncOpenAI) -> None:
    """With who made them and since when they are here."""
    found = {model.id: model async for model in client.models.list()}
    assert (found[MODEL].object, found[MODEL].owned_by) == ("model", "sentence-transformers")
    assert found[MODEL].created > 0


async def test_a_model_is_retrieved(client: openai.AsyncOpenAI) -> None:
    """As it is listed; another is not found, with the names of those that are here."""
    [listed] = [model async for model in client.models.list() if model.id == MODEL]
    assert await client.models.retrieve(MODEL) == listed
    with pytest.raises(openai.NotFoundError) as refused:
        await client.models.retrieve("text-embedding-3-small")
    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")


async def test_long_texts_are_cut(client: openai.AsyncOpenAI, ada: Person) -> None:
    """OpenAI's clients cannot ask for it: a chapter has the vector of its start, and the tokens read are counted."""
    long = "tide " * 40_000
    [cut] = (await ada.client.embedding.embed([long[:100_000]], truncate=True)).embeddings
    created = await client.embeddings.create(model=MODEL, input=[long, "tide"])
    np.testing.assert_array_equal(np.array(created.data[0].embedding, np.float32), np.array(cut.values, np.float32))
    assert created.usage.prompt_tokens == 256 + 3


@pytest.mark.parametrize("encoding", ["base64", "float"])
async def test_a_request_has_2048_texts(http: httpx.AsyncClient, ada: Person, encoding: str) -> None:
    """Computed in parts, answered in the order of the request, also where texts are equal."""
    texts = [f"text {number % 1100}" for number in range(2048)]
    body = {"model": MODEL, "input": texts, "encoding_format": encoding}
    data = (await http.post("/openai/v1/embeddings", json=body, headers=ada.headers)).json()["data"]
    values = [each["embedding"] for each in data]
    vectors = np.array(values if encoding == "float" else [np.frombuffer(base64.b64decode(text), "<f4") for text in values], np.float32)
    assert (vectors.shape, [each["index"] for each in data]) == ((2048, 384), list(range(2048)))
    np.testing.assert_array_equal(vectors[:948], vectors[1100:])
    for position in (0, 511, 512, 1099, 2047):
        [alone] = (await ada.client.embedding.embed([texts[position]])).embeddings
        np.testing.assert_array_equal(vectors[position], np.array(alone.values, np.float32))


async def test_the_json_is_open_ais(http: httpx.AsyncClient, ada: Person) -> None:
    """Names have underscores, numbers are numbers, and a zero is there."""
    body = {"model": MODEL, "input": ["x"], "encoding_format": "base64"}
    answer = (await http.post("/openai/v1/embeddings", json=body, headers=ada.headers)).json()
    embedding = answer["data"][0].pop("embedding")
    assert len(base64.b64decode(embedding)) == 384 * 4
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    assert answer == {"object": "list", "data": [{"object": "embedding", "index": 0}], "model": MODEL, "usage": usage}
    [model] = [each for each in (await http.get("/openai/v1/models", headers=ada.headers)).json()["data"] if each["id"] == MODEL]
    assert (set(model), type(model["created"])) == ({"id", "object", "created", "owned_by"}, int)


@pytest.mark.parametrize(
    ("wanted", "error", "code", "message"),
    [
        ({"model": "text-embedding-3-small"}, openai.NotFoundError, "model_not_found", "is not installed; use one of: all-minilm-l6-v2"),
        ({"model": "BAAI/bge-small-en-v1.5"}, openai.NotFoundError, "model_not_found", "the model BAAI/bge-small-en-v1.5 is not installed"),
        ({"input": []}, openai.BadRequestError, "invalid_request", "input: must be 1 to 2048 texts, not 0"),
        ({"input": ["x"] * 2049}, openai.BadRequestError, "invalid_request", "input: must be 1 to 2048 texts, not 2049"),
        ({"input": ""}, openai.BadRequestError, "invalid_request", "input: text 0 has 0 characters; it must have 1 to 100000"),
        ({"input": [1, 2]}, openai.BadRequestError, "invalid_request", "OpenAIEmbeddings(check_embedding_ctx_length=False)"),
        (
            {"input": [[1, 2]] * 2049},
            openai.BadRequestError,
            "invalid_request",
            "token ids are those of another model and are not accepted",
        ),
        ({"input": None}, openai.BadRequestError, "invalid_request", "input: must be a text or a list of texts"),
        ({"input": {"text": "x"}}, openai.BadRequestError, "invalid_request", "input: must be a text or a list of texts"),
        (
            {"input": [f"{number} {'word ' * 300}" for number in range(1200)]},
            openai.BadRequestError,
            "invalid_request",
            "input: has 307200 tokens together; a request has at most 300000: send fewer texts at a time",
        ),
        ({"dimensions": 128}, openai.BadRequestError, "invalid_request", "have 384 dimensions and cannot be shortened"),
        ({"encoding_format": "int8"}, openai.BadRequestError, "invalid_request", "encoding_format: "),
        ({"extra_body": {"inputs": 'a "b"'}}, openai.BadRequestError, "invalid_request", "there is no field inputs"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
async def test_a_wrong_request_is_refused_as_open_ai_does(
    client: openai.AsyncOpenAI, wanted: dict[str, object], error: type[openai.APIStatusError], code: str, message: str
) -> None:
    """The client finds the exception, the code and a clear text."""
    with pytest.raises(error) as refused:
        await client.embeddings.create(**{"model": MODEL, "input": "x", **wanted})  # type: ignore[arg-type]
    assert (refused.value.code, refused.value.type) == (code, "invalid_request_error")
    assert isinstance(refused.value.body, dict)
    assert message in refused.value.body["message"]


async def test_the_field_at_fault_is_named(client: openai.AsyncOpenAI) -> None:
    """As `param`."""
    with pytest.raises(openai.BadRequestError) as refused:
        await client.embeddings.create(model=MODEL, input="x", dimensions=5)
    assert refused.value.param == "dimensions"


@pytest.mark.abuse(1)
@pytest.mark.parametrize("key", ["", "nonsense"])
async def test_a_stranger_is_not_known(http: httpx.AsyncClient, key: str) -> None:
    """Without a key, and with one that is none."""
    headers = {} if key else {"authorization": openai.Omit()}
    async with openai.AsyncOpenAI(base_url=f"{http.base_url}/openai/v1", api_key=key or "none", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as refused:
            await client.embeddings.create(model=MODEL, input="x", extra_headers=headers)
        with pytest.raises(openai.AuthenticationError):
            await client.models.list(extra_headers=headers)
    assert (refused.value.code, refused.value.type) == ("token_invalid" if key else "credentials_missing", "authentication_error")


@pytest.mark.abuse(32, 38)
async def test_too_much_at_once_is_refused(client: openai.AsyncOpenAI) -> None:
    """What one user has waiting has a limit; the rest is to come later."""
    texts = [f"{number} {'word ' * 240}" for number in range(16)]  # computing them takes longer than another call's way here
    calls = [asyncio.ensure_future(client.embeddings.create(model=MODEL, input=texts)) for _ in range(400)]
    done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_EXCEPTION)
    for each in calls:
        each.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    refusals = [each for each in done if each.exception() is not None]
    with pytest.raises(openai.RateLimitError) as refused:
        refusals[0].result()
    assert (refused.value.code, refused.value.type) == ("overloaded", "rate_limit_error")
    assert int(refused.value.response.headers["retry-after"]) >= 1


@pytest.mark.abuse(29)
@pytest.mark.parametrize(
    ("path", "status", "code"), [("/openai/v1/chat", 404, "route_not_found"), ("/openai/v1/embeddings", 400, "invalid_request")]
)
async def test_the_gateways_own_errors_have_the_shape_too(http: httpx.AsyncClient, path: str, status: int, code: str) -> None:
    """Nothing below `/openai/` answers in another one."""
    answer = await http.post(path, content=b'{"model": ', headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}

"""Input that breaks a rule of the contract is refused with its field, on both faces, and never breaks a service."""

import base64
from dataclasses import dataclass

import grpc
import httpx
import pytest
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

from semantik.auth.v1.auth_service_pb2 import RegisterRequest
from semantik.collection.v1.collection_pb2 import Collection
from semantik.collection.v1.collection_service_pb2 import CreateCollectionRequest, ListCollectionsRequest, UpdateCollectionRequest
from semantik.collection.v1.document_service_pb2 import UpdateDocumentRequest, UploadDocumentRequest
from semantik.collection.v1.metadata_pb2 import MetadataValue
from semantik.collection.v1.source_pb2 import DirectoryConfig
from semantik.collection.v1.source_service_pb2 import AddSourceRequest
from semantik.search.v1.neighbours_pb2 import ChunkReference
from semantik.search.v1.rerank_pb2 import Rerank
from semantik.search.v1.search_service_pb2 import BatchSearchRequest, FindSimilarRequest, SearchRequest
from semantik.search.v1.suggestion_pb2 import DeleteRecentQueriesRequest, SuggestQueriesRequest
from tests.conftest import Person
from tests.e2e.faces import PUBLIC, SOME_ID, Refusal, empty, method, on_both, over_grpc, over_http

REGISTER = "auth.v1.AuthService.Register"
CREATE = "collection.v1.CollectionService.CreateCollection"
UPDATE = "collection.v1.CollectionService.UpdateCollection"
LIST = "collection.v1.CollectionService.ListCollections"
ADD = "collection.v1.SourceService.AddSource"
UPLOAD = "collection.v1.DocumentService.UploadDocument"
NOTE = "collection.v1.DocumentService.UpdateDocument"
SEARCH = "search.v1.SearchService.Search"
BATCH = "search.v1.SearchService.BatchSearch"
SIMILAR = "search.v1.SearchService.FindSimilar"
SUGGEST = "search.v1.SearchService.SuggestQueries"
FORGET = "search.v1.SearchService.DeleteRecentQueries"
YES = MetadataValue(bool_value=True)
INVALID = ("INVALID_ARGUMENT", "INVALID_REQUEST")
HIDDEN = ("\x00", "\x07", "\n", "\x7f", "\x85", "\u200b", "\u200d", "\u202e", "\u2066", "\u2028", "\ufeff")
PAGED = [each for each in PUBLIC if "page_token" in each.input_type.fields_by_name]


def _paged(of: MethodDescriptor) -> Message:
    """Return a request whose page is all that can be wrong with it."""
    return _search() if of == method(SEARCH) else empty(of)


@dataclass(frozen=True)
class Bad:
    """One request that breaks one rule."""

    name: str
    rpc: str
    request: Message
    field: str


def _search(**fields: object) -> SearchRequest:
    given = {"collection_ids": [SOME_ID], "query": "whales"} | fields
    return SearchRequest(**given)  # type: ignore[arg-type]


def _register(**fields: str) -> RegisterRequest:
    given = {"username": "somebody.new", "email": "somebody@example.org", "password": "correct horse battery staple"} | fields
    return RegisterRequest(**given)


def _upload(name: str) -> UploadDocumentRequest:
    return UploadDocumentRequest(collection_id=SOME_ID, name=name, content=HttpBody(data=b"text"))


_PATHS = (
    "../secret.txt",
    "a/../../secret.txt",
    "a/./b.txt",
    "/etc/passwd",
    "a//b.txt",
    "a/",
    "..",
    "a\\b.txt",
    "%2e%2e/secret.txt",
    "a%2Fb.txt",
    "a%00.txt",
    "x" * 201,
    "x" * 300,
    "a/" * 600 + "b",
    "CON",
    "a/nul.txt",
    "com1.md",
)


def _source(path: str) -> AddSourceRequest:
    return AddSourceRequest(collection_id=SOME_ID, directory=DirectoryConfig(path=path))


_KEYS = [[key] for key in ("", "A", "1a", "a.b", "a-b", "a[0]", "a" * 41, "ä", "a b")]
_KEYS += [[f"a{number}" for number in range(65)]]


def _text(mark: str) -> MetadataValue:
    return MetadataValue(string_value=f"b{mark}c")


_BAD = [
    *(Bad(f"collection named with {mark!r}", CREATE, CreateCollectionRequest(name=f"a{mark}b"), "name") for mark in HIDDEN),
    *(
        Bad(f"{field} with {mark!r}", REGISTER, _register(**{field: f"a{mark}bc"}), field)
        for field in ("username", "full_name")
        for mark in HIDDEN
    ),
    *(Bad(f"collection named {name!r}", CREATE, CreateCollectionRequest(name=name), "name") for name in ("", " ", "\u3000", "x" * 201)),
    *(
        Bad(f"collection renamed with {mark!r}", UPDATE, UpdateCollectionRequest(collection_id=SOME_ID, name=f"a{mark}b"), "name")
        for mark in HIDDEN
    ),
    *(Bad(f"upload named with {mark!r}", UPLOAD, _upload(f"a{mark}b.txt"), "name") for mark in HIDDEN),
    *(Bad(f"upload named {name[:20]!r}", UPLOAD, _upload(name), "name") for name in _PATHS),
    *(
        Bad(f"source at {path[:20]!r}", ADD, _source(path), "directory.path")
        for path in ("", "relative", "/a\x00b", "/a\nb", "/" + "x" * 4096, "http://127.0.0.1/", "file:///etc/passwd")
    ),
    *(Bad(f"query {query[:4]!r}", SEARCH, _search(query=query), "query") for query in ("", "  ", "\t\n", "\u200b\u3000", "x" * 8193)),
    *(Bad(f"limit {limit}", SEARCH, _search(limit=limit), "limit") for limit in (0, -1, 101, 10**9)),
    *(Bad(f"neighbours {count}", SEARCH, _search(neighbours=count), "neighbours") for count in (-1, 6, 10**6)),
    *(
        Bad(f"{count} candidates", SEARCH, _search(rerank=Rerank(candidate_count=count)), "rerank.candidate_count")
        for count in (0, -1, 201)
    ),
    Bad("a reranker with a path", SEARCH, _search(rerank=Rerank(model="../secret")), "rerank.model"),
    Bad("no searches", BATCH, BatchSearchRequest(), "searches"),
    Bad("51 searches", BATCH, BatchSearchRequest(searches=[_search()] * 51), "searches"),
    Bad("a blank search", BATCH, BatchSearchRequest(searches=[_search(), _search(query=" ")]), "searches.query"),
    Bad("2,100 passages", BATCH, BatchSearchRequest(searches=[_search(limit=100)] * 21), "searches"),
    Bad("no example", SIMILAR, FindSimilarRequest(), "example"),
    Bad("a blank example", SIMILAR, FindSimilarRequest(text="\u200b "), "text"),
    Bad("a long example", SIMILAR, FindSimilarRequest(text="x" * 8193), "text"),
    Bad("a document of no id", SIMILAR, FindSimilarRequest(document_id="papers"), "document_id"),
    Bad("a passage before the first", SIMILAR, FindSimilarRequest(chunk=ChunkReference(document_id=SOME_ID, ordinal=-1)), "chunk.ordinal"),
    *(Bad(f"{limit} suggestions", SUGGEST, SuggestQueriesRequest(limit=limit), "limit") for limit in (0, -1, 21, 10**9)),
    Bad("a long prefix", SUGGEST, SuggestQueriesRequest(prefix="x" * 201), "prefix"),
    Bad("suggestions of no id", SUGGEST, SuggestQueriesRequest(collection_ids=["papers"]), "collection_ids"),
    Bad("suggestions of one collection twice", SUGGEST, SuggestQueriesRequest(collection_ids=[SOME_ID, SOME_ID]), "collection_ids"),
    Bad("a long text to forget", FORGET, DeleteRecentQueriesRequest(text="x" * 8193), "text"),
    *(Bad(f"{most} hits a document", SEARCH, _search(max_hits_per_document=most), "max_hits_per_document") for most in (0, -1, 101)),
    *(Bad(f"similarity of {least}", SEARCH, _search(min_similarity=least), "min_similarity") for least in (-1.01, 1.01, 1e300)),
    *(Bad(f"facets {kinds}", SEARCH, _search(facets=kinds), "facets") for kinds in ([0], [40], [99], [1, 1], [1, 2, 3, 4, 5, 1])),
    *(
        Bad(f"{name} is noted", NOTE, UpdateDocumentRequest(document_id=SOME_ID, metadata={"a": value}), f"metadata.{field}")
        for name, value, field in (
            ("a long text", MetadataValue(string_value="x" * 501), "string_value"),
            ("an empty text", MetadataValue(string_value=""), "string_value"),
            ("nothing", MetadataValue(), "kind"),
            ("a number that is none", MetadataValue(number_value=float("nan")), "number_value"),
            ("an infinite number", MetadataValue(number_value=float("-inf")), "number_value"),
        )
    ),
    *(
        Bad(
            f"{len(keys)} keys {keys[0]!r} are noted",
            NOTE,
            UpdateDocumentRequest(document_id=SOME_ID, metadata=dict.fromkeys(keys, YES)),
            "metadata",
        )
        for keys in _KEYS
    ),
    *(
        Bad(f"a text with {mark!r}", NOTE, UpdateDocumentRequest(document_id=SOME_ID, metadata={"a": _text(mark)}), "metadata.string_value")
        for mark in HIDDEN
    ),
    *(
        Bad(f"the keys {keys}", SEARCH, _search(metadata_facets=keys), "metadata_facets")
        for keys in (["A"], ["a.b"], ["a", "a"], [""], ["a", "b", "c", "d", "e", "f"])
    ),
    Bad("a long filter", SEARCH, _search(filter_text="x" * 2001), "filter_text"),
    Bad("eleven collections", SEARCH, _search(collection_ids=[SOME_ID[:-2] + str(each) for each in range(10, 21)]), "collection_ids"),
    Bad("one collection twice", SEARCH, _search(collection_ids=[SOME_ID, SOME_ID]), "collection_ids"),
    Bad("a collection of no id", SEARCH, _search(collection_ids=["papers"]), "collection_ids"),
]


def _row(bad: Bad) -> int:
    """Return the row of the rule that is broken."""
    rows = dict.fromkeys(
        ("limit", "max_hits_per_document", "min_similarity", "neighbours", "searches", "rerank.candidate_count", "chunk.ordinal"), 16
    )
    rows |= dict.fromkeys(("query", "searches.query", "text", "example"), 15)
    rows |= dict.fromkeys(("facets", "metadata_facets", "filter_text", "collection_ids"), 18)
    if bad.rpc == NOTE and " with " not in bad.name:
        return 18
    return {**rows, "directory.path": 22}.get(bad.field) or (14 if " with " in bad.name else 21)


@pytest.mark.parametrize("bad", [pytest.param(each, id=each.name, marks=pytest.mark.abuse(_row(each))) for each in _BAD])
async def test_bad_input_names_its_field(gateway: grpc.aio.Channel, http: httpx.AsyncClient, ada: Person, bad: Bad) -> None:
    """The same words over gRPC and over JSON."""
    refused = await on_both(gateway, http, method(bad.rpc), bad.request, authorization=f"Bearer {ada.token}")
    assert (*refused.why, refused.message.partition(":")[0]) == (*INVALID, bad.field)


@pytest.mark.abuse(16, 17)
@pytest.mark.parametrize("of", PAGED, ids=[each.name for each in PAGED])
async def test_a_page_has_a_size_and_a_token_of_ours(
    gateway: grpc.aio.Channel, http: httpx.AsyncClient, ada: Person, of: MethodDescriptor
) -> None:
    """Every list refuses sizes out of range and tokens that it did not make."""
    bearer = f"Bearer {ada.token}"
    for size in (0, -1, 1001, 10**6):
        request = _paged(of)
        setattr(request, "page_size" if "page_size" in of.input_type.fields_by_name else "limit", size)
        assert (await on_both(gateway, http, of, request, authorization=bearer)).why == INVALID
    for token in ("x", "\u00e9", "AAAA" * 20, base64.urlsafe_b64encode(b"\x00" * 16 + b'["2020-01-01T00:00:00+00:00","a"]').decode()):
        request = _paged(of)
        request.page_token = token  # type: ignore[attr-defined]
        refused = await on_both(gateway, http, of, request, authorization=bearer)
        assert refused.why == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"), token


@pytest.mark.abuse(17)
async def test_a_page_token_is_good_for_its_request_and_user_only(
    gateway: grpc.aio.Channel, http: httpx.AsyncClient, ada: Person, stranger: Person
) -> None:
    """Another filter, another list or another user cannot use it; another page size can."""
    for person in (ada, stranger):
        for name in ("one", "two", "three"):
            await person.client.collections.create(name)
    first = await http.get("/v1/collections", params={"page_size": 1}, headers=ada.headers)
    token = first.json()["nextPageToken"]
    bearer = f"Bearer {ada.token}"
    of = method(LIST)
    good = ListCollectionsRequest(page_size=2, page_token=token)
    assert (await on_both(gateway, http, of, good, authorization=bearer)).code == "OK"
    refusals = [
        await on_both(gateway, http, of, ListCollectionsRequest(page_token=token, owned_only=True), authorization=bearer),
        await on_both(gateway, http, of, ListCollectionsRequest(page_token=token, name="one"), authorization=bearer),
        await on_both(gateway, http, of, ListCollectionsRequest(page_token=token[:-2]), authorization=bearer),
        await on_both(gateway, http, of, good, authorization=f"Bearer {stranger.token}"),
    ]
    for each in PAGED:
        if each.name != of.name:
            request = _paged(each)
            request.page_token = token  # type: ignore[attr-defined]
            refusals.append(await on_both(gateway, http, each, request, authorization=bearer))
    assert {each.why for each in refusals} == {("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")}


@pytest.mark.abuse(11)
async def test_what_is_too_large_is_refused(gateway: grpc.aio.Channel, http: httpx.AsyncClient, ada: Person) -> None:
    """A gRPC message over 8 MiB, and a JSON body over its limit."""
    bearer = f"Bearer {ada.token}"
    huge = _search(query="x" * 9_000_000)
    assert (await over_grpc(gateway, method(SEARCH), huge, authorization=bearer)).code == "RESOURCE_EXHAUSTED"
    answer = await http.post("/v1/search", json={"query": "x" * 9_000_000}, headers=ada.headers)
    assert (answer.status_code, answer.json()["code"]) == (413, grpc.StatusCode.RESOURCE_EXHAUSTED.value[0])


def _strings(of: MethodDescriptor) -> list[FieldDescriptor]:
    return [field for field in of.input_type.fields if field.type == FieldDescriptor.TYPE_STRING]


def _filled(of: MethodDescriptor, collection: Collection, number: int) -> Message:
    """Return a request that is good, as far as that can be told from the names of its fields."""
    request = empty(of)
    texts = {
        "collection_id": collection.id,
        "name": f"a name {number}",
        "username": "somebody.new",
        "email": "somebody@example.org",
        "password": "correct horse battery staple",
        "query": "whales",
    }
    for field in _strings(of):
        if field.name in texts and not field.is_repeated:
            setattr(request, field.name, texts[field.name])
        if field.name in ("texts", "collection_ids"):
            getattr(request, field.name).append(collection.id)
    return request


@pytest.mark.abuse(14)
@pytest.mark.parametrize("of", PUBLIC, ids=[each.name for each in PUBLIC])
async def test_a_nul_breaks_nothing(
    gateway: grpc.aio.Channel, http: httpx.AsyncClient, ada: Person, collection: Collection, of: MethodDescriptor
) -> None:
    """In whatever text of whatever request it comes, no service answers with a fault of its own, and a refusal names the field."""
    for number, field in enumerate(_strings(of)):
        request = _filled(of, collection, number)
        if field.is_repeated:
            getattr(request, field.name).append("a\x00b")
        else:
            setattr(request, field.name, "a\x00b")
        answers = {await over_grpc(gateway, of, request, authorization=f"Bearer {ada.token}")}
        if not field.name.endswith("_id") or field.name == "request_id":  # an id stands in the path
            answers.add(await over_http(http, of, request, authorization=f"Bearer {ada.token}"))
        codes = {each.code for each in answers}
        assert codes <= {"OK", "INVALID_ARGUMENT", "UNAUTHENTICATED", "NOT_FOUND", "ALREADY_EXISTS", "FAILED_PRECONDITION"}, field.name
        assert {each.message.partition(":")[0] for each in answers if each.why == INVALID} <= {
            *of.input_type.fields_by_name,
            *of.input_type.oneofs_by_name,
        }


@pytest.mark.abuse(14)
async def test_a_nul_that_only_the_database_minds_names_its_field(
    gateway: grpc.aio.Channel, http: httpx.AsyncClient, ada: Person, collection: Collection
) -> None:
    """On both faces; also inside the first message of a stream, where JSON has a header, which cannot hold one."""
    bearer = f"Bearer {ada.token}"
    for name, bad, field in (
        (CREATE, CreateCollectionRequest(name="a", description="a\x00b"), "description"),
        (LIST, ListCollectionsRequest(name="a\x00b"), "name"),
    ):
        refused = await on_both(gateway, http, method(name), bad, authorization=bearer)
        assert refused == Refusal(*INVALID, f"{field}: must not contain NUL")
    request = UploadDocumentRequest(collection_id=collection.id, name="a.txt", content=HttpBody(data=b"text", content_type="a\x00b"))
    refused = await over_grpc(gateway, method(UPLOAD), request, authorization=bearer)
    refusal = "content_type must be a media type such as text/plain"
    assert refused == Refusal("INVALID_ARGUMENT", "UPLOAD_INVALID", refusal)

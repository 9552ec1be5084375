"""Random calls of one tenant with the ids of another, on every face; the same call with an id of nobody tells what may be answered."""

import re
import struct
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import quote, unquote

import grpc
import httpx
from google.api import annotations_pb2
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

from semantik.search.v1.filter_pb2 import Facet
from tests.e2e.faces import PUBLIC

FACES = ("gRPC", "JSON", "gRPC-Web")
_KINDS = ("collection_id", "source_id", "document_id", "operation_id", "session_id", "judged_set_id", "evaluation_id")
_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)
_MOMENTS = re.compile(r'\d{4}-\d\d-\d\dT[0-9:.]+Z|"[0-9.]+s"')
_SECONDS = 20.0

# What differs from call to call: the time, and how many of the caller's own calls its rate leaves.
_OF_EACH_CALL = ("x-correlation-id", "x-envoy-upstream-service-time", "date", "x-ratelimit-remaining", "x-ratelimit-reset")


@dataclass(frozen=True)
class Tenant:
    """What one user has: an id of each kind, a page token of each list, and a word that no other tenant's data holds."""

    token: str
    marker: str
    ids: dict[str, str]
    page_tokens: dict[str, str]
    folder: str


@dataclass(frozen=True)
class Target:
    """A field of a request that takes an id, or a page token; ``path`` leads to it through the messages."""

    method: MethodDescriptor
    path: tuple[str, ...]

    @property
    def kind(self) -> str:
        name = self.path[-1].removeprefix("baseline_")
        return name.removesuffix("s") if name.endswith("_ids") else name


@dataclass(frozen=True)
class Probe:
    """One call: ``value`` takes the id in its spelling."""

    target: Target
    face: str
    spelling: str
    kind: str
    query: str
    mode: int


def targets() -> list[Target]:
    """Return every field of every public RPC that takes an id of something with an owner, and every page token."""
    return [Target(of, path) for of in PUBLIC for path in _paths(of.input_type)]


def _paths(of: Any, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for field in of.fields:
        path = (*before, field.name)
        if field.type == FieldDescriptor.TYPE_MESSAGE and field.message_type.full_name.startswith("semantik."):
            if not field.is_repeated:  # a condition holds conditions
                yield from _paths(field.message_type, path)
        elif Target(of, path).kind in (*_KINDS, "page_token"):
            yield path


SPELLINGS: dict[str, Callable[[str, str], str]] = {
    "as it is": lambda its, _: its,
    "capitals": lambda its, _: its.upper(),
    "mixed case": lambda its, _: its.swapcase().title(),
    "without hyphens": lambda its, _: its.replace("-", ""),
    "in braces": lambda its, _: f"{{{its}}}",
    "as a URN": lambda its, _: f"urn:uuid:{its}",
    "a space after": lambda its, _: f"{its} ",
    "a tab before": lambda its, _: f"\t{its}",
    "a line end after": lambda its, _: f"{its}\n",
    "a NUL after": lambda its, _: f"{its}\x00",
    "a zero-width space after": lambda its, _: f"{its}\u200b",
    "full-width digits": lambda its, _: its.translate({ord("0") + digit: 0xFF10 + digit for digit in range(10)}),
    "a path before": lambda its, own: f"{own}/../{its}",
    "a coded path before": lambda its, own: f"{own}%2f%2e%2e%2f{its}",
    "a slash after": lambda its, _: f"{its}/",
    "a semicolon after": lambda its, own: f"{own};{its}",
    "a comma between": lambda its, own: f"{own},{its}",
    "a query after": lambda its, own: f"{own}?collection_id={its}&document_id={its}&operation_id={its}",
    "SQL after": lambda its, own: f"{own}' OR id = '{its}",
    "a wildcard": lambda its, _: its[:8] + "%",
    "cut": lambda its, _: its[:-1],
    "twice": lambda its, _: its + its,
}


def random_probe(target: Target, random: Random, victim: Tenant, face: str | None = None) -> Probe:
    """Return a call that asks for something of the victim's in a random spelling, kind and face."""
    kind = target.kind if target.kind == "page_token" or random.random() < 0.8 else random.choice(_KINDS)
    spelling = "as it is" if random.random() < 0.4 else random.choice(list(SPELLINGS))
    query = random.choice((victim.marker, f"the treasure of {victim.marker}", "treasure", victim.folder.rpartition("/")[2]))
    return Probe(target, face or random.choice(FACES), spelling, kind, query, random.randrange(4))


def request_of(probe: Probe, caller: Tenant, value: str) -> Message:
    """Return the request: the field of the target is ``value``, all others are the caller's own and good."""
    request = _good_request(probe, caller)
    *before, last = probe.target.path
    holder: Any = request
    for name in before:
        holder = getattr(holder, name)
        if name == "searches":
            holder = holder[0]
    if last.endswith("_ids"):
        repeated = getattr(holder, last)
        if probe.mode % 2 or not before:
            del repeated[:]
        repeated.append(value)
    else:
        setattr(holder, last, value)
    return request  # type: ignore[no-any-return]


def _good_request(probe: Probe, caller: Tenant) -> Any:
    request: Any = message_factory.GetMessageClass(probe.target.method.input_type)()
    values = {**caller.ids, "name": "probe.txt", "query": probe.query, "mode": probe.mode}
    for name in request.DESCRIPTOR.fields_by_name:
        # A filter by source is no part of a good request.
        if name in values and (name, request.DESCRIPTOR.name) != ("source_id", "ListDocumentsRequest"):
            setattr(request, name, values[name])
    if "collection_ids" in request.DESCRIPTOR.fields_by_name:
        request.collection_ids.append(caller.ids["collection_id"])
    if "facets" in request.DESCRIPTOR.fields_by_name:
        request.facets.extend(kind for kind in Facet.Kind.values() if kind not in (Facet.KIND_UNSPECIFIED, Facet.KIND_METADATA))
        request.filter_text = f'-"{probe.query}" OR name:"{probe.query}" OR path:a'
    if "directory" in request.DESCRIPTOR.fields_by_name:
        request.directory.path = caller.folder
    if "content" in request.DESCRIPTOR.fields_by_name:
        request.content.data = b"a probe"
    if "prefix" in request.DESCRIPTOR.fields_by_name:
        request.prefix = "one"  # no query of the probes begins so
    if "searches" in request.DESCRIPTOR.fields_by_name:
        request.searches.add(query=probe.query, mode=probe.mode)
    _judge(probe, caller, request)
    return request


def _judge(probe: Probe, caller: Tenant, request: Any) -> None:
    """Fill in what judged sets and evaluations need."""
    if "judgement" in request.DESCRIPTOR.fields_by_name:
        request.judgement.document = probe.query
    if "queries" in request.DESCRIPTOR.fields_by_name:
        request.queries.add(id="probe", text=probe.query)
    if "baseline_evaluation_id" in request.DESCRIPTOR.fields_by_name:
        request.baseline_evaluation_id = caller.ids["evaluation_id"]
    if "search" in request.DESCRIPTOR.fields_by_name:
        request.search.query = "refused, so that no probe starts work that counts"


@dataclass(frozen=True)
class Wire:
    """The faces of one mesh."""

    channel: grpc.aio.Channel
    http: httpx.AsyncClient

    async def ask(self, face: str, of: MethodDescriptor, request: Message, token: str) -> str:
        """Return all that is answered, as text, whatever it is."""
        if face == "JSON":
            return await self._json(of, request, token)
        if face == "gRPC-Web":
            return await self._web(of, request, token)
        return await self._grpc(of, request, token)

    async def _grpc(self, of: MethodDescriptor, request: Message, token: str) -> str:
        shape = ("stream" if of.client_streaming else "unary") + "_" + ("stream" if of.server_streaming else "unary")
        rpc: Any = getattr(self.channel, shape)(
            f"/{of.containing_service.full_name}/{of.name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=message_factory.GetMessageClass(of.output_type).FromString,
        )
        call = rpc(iter([request]) if of.client_streaming else request, metadata=_bearer(token), timeout=_SECONDS)
        try:
            answers = [answer async for answer in call] if of.server_streaming else [await call]
        except grpc.aio.AioRpcError as error:
            return f"{error.code().name} {error.details()} {_telling(error.trailing_metadata() or ())}"
        return "OK " + "".join(json_format.MessageToJson(answer) for answer in answers)

    async def _json(self, of: MethodDescriptor, request: Message, token: str) -> str:
        rule = of.GetOptions().Extensions[annotations_pb2.http]
        verb = str(rule.WhichOneof("pattern"))
        fields: dict[str, Any] = json_format.MessageToDict(request, preserving_proto_field_name=True)
        path = re.sub(r"\{(\w+)\}", lambda match: quote(str(fields.pop(match[1], "")), safe="/;,?&="), getattr(rule, verb))
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        if rule.body == "*":
            answer = await self.http.request(verb.upper(), path, json=fields, headers=headers)
        elif rule.body:
            fields.pop(rule.body)
            answer = await self.http.request(
                verb.upper(), path, params=fields, content=b"a probe", headers={**headers, "content-type": "text/plain"}
            )
        else:
            filters = {name: value for name, value in fields.items() if value}
            answer = await self.http.request(verb.upper(), path, params=filters or None, headers=headers)
        return f"{answer.status_code} {answer.text}"

    async def _web(self, of: MethodDescriptor, request: Message, token: str) -> str:
        sent = request.SerializeToString()
        headers = {"authorization": f"Bearer {token}", "content-type": "application/grpc-web+proto", "x-grpc-web": "1"}
        path = f"/{of.containing_service.full_name}/{of.name}"
        answer = await self.http.post(path, content=struct.pack(">BI", 0, len(sent)) + sent, headers=headers)
        said, rest = unquote(answer.headers.get("grpc-message", "")), answer.content
        found = message_factory.GetMessageClass(of.output_type)
        while rest:
            flag, size = struct.unpack(">BI", rest[:5])
            part, rest = rest[5 : 5 + size], rest[5 + size :]
            said += unquote(part.decode()) if flag & 0x80 else json_format.MessageToJson(found.FromString(part))
        return f"{answer.headers.get('grpc-status', '')} {said}"


def _telling(metadata: Any) -> list[tuple[str, Any]]:
    """Return the metadata that is the same for the same answer."""
    return [(name, value) for name, value in metadata if name not in _OF_EACH_CALL]


def _bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


async def leak(wire: Wire, probe: Probe, caller: Tenant, victim: Tenant) -> str:
    """Make the probe; return what the caller learned of the victim, an empty text for nothing."""
    spell = SPELLINGS[probe.spelling]
    answers = []
    nobody = uuid.uuid4()
    for is_real in (True, False):
        if probe.kind == "page_token":
            its = victim.page_tokens.get(probe.target.method.name, "")
            its = its if is_real else _another_token(its)
        else:
            its = victim.ids[probe.kind] if is_real else str(nobody)
        own = caller.ids.get(probe.kind, "")
        value = spell(its, own)
        answer = await wire.ask(probe.face, probe.target.method, request_of(probe, caller, value), caller.token)
        if victim.marker in answer:
            return f"{_name(probe)}: the answer holds the victim's marker: {answer[:300]}"
        answers.append(_anonymous(answer, value, its))
    return "" if answers[0] == answers[1] else f"{_name(probe)}: {answers[0][:300]} instead of {answers[1][:300]}"


def _another_token(token: str) -> str:
    """Return a page token that nobody was given, as long as this one."""
    return token.translate(str.maketrans("ABCDEFGHIJKLM", "NOPQRSTUVWXYZ"))


def _anonymous(answer: str, *ids: str) -> str:
    """Return an answer without what differs from call to call: ids and times."""
    for each in ids:
        answer = answer.replace(each, "ID") if each else answer
    answer = re.sub(r"x-(correlation-id|envoy-upstream-service-time):\\S*", "", answer)
    return _MOMENTS.sub("T", _UUID.sub("ID", answer))


def _name(probe: Probe) -> str:
    return f"{probe.target.method.name}({'.'.join(probe.target.path)}) by {probe.face}, {probe.kind} spelled {probe.spelling!r}"

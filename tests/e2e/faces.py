"""Every public RPC has two faces, gRPC and JSON; this asks the same of both and compares what they refuse."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
from google.api import annotations_pb2, http_pb2, httpbody_pb2
from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from semantik.auth.v1 import auth_internal_service_pb2, auth_service_pb2, user_service_pb2
from semantik.collection.v1 import collection_internal_service_pb2, collection_service_pb2, document_service_pb2, source_service_pb2
from semantik.embedding.v1 import embedding_internal_service_pb2, embedding_service_pb2, model_service_pb2, open_ai_service_pb2
from semantik.operation.v1 import operation_internal_service_pb2, operation_service_pb2
from semantik.search.v1 import (
    evaluation_internal_service_pb2,
    evaluation_service_pb2,
    index_internal_service_pb2,
    judged_set_service_pb2,
    search_service_pb2,
)

_FILES = (
    auth_service_pb2,
    auth_internal_service_pb2,
    user_service_pb2,
    collection_service_pb2,
    collection_internal_service_pb2,
    document_service_pb2,
    source_service_pb2,
    embedding_service_pb2,
    embedding_internal_service_pb2,
    model_service_pb2,
    open_ai_service_pb2,
    operation_service_pb2,
    operation_internal_service_pb2,
    search_service_pb2,
    judged_set_service_pb2,
    evaluation_service_pb2,
    index_internal_service_pb2,
    evaluation_internal_service_pb2,
)
SERVICES: list[ServiceDescriptor] = [service for file in _FILES for service in file.DESCRIPTOR.services_by_name.values()]
METHODS: list[MethodDescriptor] = [method for service in SERVICES for method in service.methods]
PUBLIC = [method for method in METHODS if "Internal" not in method.containing_service.name]
INTERNAL = [method for method in METHODS if "Internal" in method.containing_service.name]
SOME_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
_SECONDS = 20.0
_Query = dict[str, str | int | float | bool | Sequence[str | int | float | bool | None] | None]


@dataclass(frozen=True)
class Refusal:
    """What a refusal says; ``OK`` and no reason for an answer."""

    code: str
    reason: str = ""
    message: str = ""

    @property
    def why(self) -> tuple[str, str]:
        return self.code, self.reason


def method(name: str) -> MethodDescriptor:
    """Return the method ``package.Service.Method`` below ``semantik``."""
    return descriptor_pool.Default().FindMethodByName(f"semantik.{name}")


def empty(of: MethodDescriptor) -> Message:
    """Return a request in which only ids are filled in, enough to find the route."""
    request = message_factory.GetMessageClass(of.input_type)()
    for field in of.input_type.fields:
        if field.name.endswith("_id") and field.name != "request_id":
            setattr(request, field.name, SOME_ID)
    return request


async def over_grpc(channel: grpc.aio.Channel, of: MethodDescriptor, request: Message, **headers: str) -> Refusal:
    """Call a method of any shape and return how it was refused; ``headers`` are written with ``_`` for ``-``."""
    shape = ("stream" if of.client_streaming else "unary") + "_" + ("stream" if of.server_streaming else "unary")
    answer = message_factory.GetMessageClass(of.output_type)
    rpc: Any = getattr(channel, shape)(
        f"/{of.containing_service.full_name}/{of.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=answer.FromString,
    )
    metadata = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    call = rpc([request] if of.client_streaming else request, metadata=metadata, timeout=_SECONDS)
    try:
        if of.server_streaming:
            async for _ in call:
                break
            call.cancel()
        else:
            await call
    except grpc.aio.AioRpcError as error:
        return Refusal(error.code().name, _reason(error), error.details() or "")
    return Refusal("OK")


def _reason(error: grpc.aio.AioRpcError) -> str:
    status = rpc_status.from_call(error)
    info = error_details_pb2.ErrorInfo()
    for detail in status.details if status else ():
        if detail.Unpack(info):
            assert info.domain == "semantik"
            return str(info.reason)
    return ""


async def over_http(client: httpx.AsyncClient, of: MethodDescriptor, request: Message, **headers: str) -> Refusal:
    """Call the JSON face of a method by its HTTP rule and return how it was refused."""
    verb, path, query, content = _transcoded(of, request)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    sent["content-type"] = "text/plain" if _rule(of).body not in ("", "*") else "application/json"
    response = await client.request(verb, path, params=query, content=content, headers=sent)
    return refusal_of(response)


def refusal_of(response: httpx.Response) -> Refusal:
    """Read a refusal off a JSON answer, having checked that its HTTP status is the one of its code."""
    if response.status_code == httpx.codes.OK:
        return Refusal("OK")
    body = response.json()
    if "error" in body:  # OpenAI's shape, which knows no code of gRPC
        name = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}[response.status_code]
        return Refusal(name, str(body["error"]["code"]).upper(), body["error"]["message"])
    code = next(each for each in grpc.StatusCode if each.value[0] == body["code"])
    reasons = [detail["reason"] for detail in body["details"] if detail["@type"].endswith("google.rpc.ErrorInfo")]
    return Refusal(code.name, reasons[0] if reasons else "", body["message"])


async def on_both(channel: grpc.aio.Channel, client: httpx.AsyncClient, of: MethodDescriptor, request: Message, **headers: str) -> Refusal:
    """Return what both faces say, having checked that they say the same."""
    first = await over_grpc(channel, of, request, **headers)
    second = await over_http(client, of, request, **headers)
    assert first == second
    return first


def _rule(of: MethodDescriptor) -> http_pb2.HttpRule:
    rule: http_pb2.HttpRule = of.GetOptions().Extensions[annotations_pb2.http]
    return rule


def _transcoded(of: MethodDescriptor, request: Message) -> tuple[str, str, _Query, bytes]:
    rule = _rule(of)
    verb = str(rule.WhichOneof("pattern"))
    fields: dict[str, Any] = json_format.MessageToDict(request, preserving_proto_field_name=True)
    path = re.sub(r"\{(\w+)\}", lambda match: str(fields.pop(match[1])), getattr(rule, verb))
    if rule.body == "*":
        return verb.upper(), path, {}, json_format.MessageToJson(json_format.ParseDict(fields, type(request)())).encode()
    content = b""
    if rule.body:
        fields.pop(rule.body, None)
        body = getattr(request, rule.body)
        assert isinstance(body, httpbody_pb2.HttpBody)
        content = body.data
    return verb.upper(), path, _query(fields), content


def _query(fields: dict[str, Any]) -> _Query:
    return {name: value if isinstance(value, list) else str(value) for name, value in fields.items()}

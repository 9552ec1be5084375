"""What in a request breaks the contract: its rules, and a NUL where a text is to be stored."""

import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import protovalidate
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from grpc import StatusCode

from libs.rpc.errors import Failure, invalid
from semantik.error.v1.error_reason_pb2 import ErrorReason

NO_NUL = "string.no_nul"


@dataclass(frozen=True)
class Unreadable:
    """Bytes that are no message of the contract, or hold a text that is no UTF-8."""

    why: str


def readable(parse: Callable[[bytes], Message]) -> Callable[[bytes], Message | Unreadable]:
    """Return a deserializer that leaves the refusal of what it cannot read to ``check``: gRPC's own has no reason in it."""

    def read(data: bytes) -> Message | Unreadable:
        try:
            return parse(data)
        except DecodeError as error:
            return Unreadable(str(error))

    return read


def check(message: Message | Unreadable) -> None:
    """Raise INVALID_ARGUMENT for what cannot be read, and for the first rule of the contract that ``message`` breaks."""
    if isinstance(message, Unreadable):
        raise Failure(StatusCode.INVALID_ARGUMENT, ErrorReason.ERROR_REASON_INVALID_REQUEST, f"the request cannot be read: {message.why}")
    violations = protovalidate.collect_violations(message, fail_fast=True)
    if violations:
        first = violations[0].proto
        elements = first.field.elements if first.field else ()
        path = ".".join(element.field_name for element in elements)
        raise invalid(path, first.message, first.rule_id)


class Incoming:
    """What a call was sent, checked as it comes: ``checked`` is the message, or an iterator over the messages of a stream."""

    def __init__(self, request: Any) -> None:
        self._request = request
        self._suspects: list[Message] = []

    def checked(self) -> Any:
        if inspect.isasyncgen(self._request) or hasattr(self._request, "__aiter__"):
            return self._each()
        check(self._request)
        self._suspects = [self._request]
        return self._request

    async def _each(self) -> AsyncIterator[Message]:
        async for message in self._request:
            check(message)
            if next(_with_nul(message), None) is not None:
                self._suspects.append(message)
            yield message

    def named(self, failure: Failure) -> Failure:
        """Return the failure; the refusal of a NUL, which only the database has found, with the name of the field."""
        if failure.metadata.get("rule") != NO_NUL:
            return failure
        fields = (field for message in self._suspects for field in _with_nul(message))
        field = next(fields, None)
        return failure if field is None else invalid(field, "must not contain NUL", NO_NUL)


def _with_nul(message: Message, path: Sequence[str] = ()) -> Iterator[str]:
    """Yield the fields whose texts hold a NUL."""
    for field, value in message.ListFields():
        here = (*path, field.name)
        if field.type == FieldDescriptor.TYPE_STRING:
            if any("\0" in text for text in (value if field.is_repeated else [value])):
                yield ".".join(here)
        else:
            for inner in _messages(field, value):
                yield from _with_nul(inner, here)


def _messages(field: FieldDescriptor, value: Any) -> Iterable[Message]:
    if field.message_type is None or field.message_type.GetOptions().map_entry:
        return ()
    return value if field.is_repeated else [value]

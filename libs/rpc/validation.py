"""The checks of a request: the rules of the contract, and a NUL where a text is stored."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import protovalidate
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from grpc import StatusCode

from libs.rpc.errors import Failure, invalid
from libs.rpc.wording import in_words
from semantik.error.v1.error_reason_pb2 import ErrorReason

NO_NUL = "string.no_nul"


@dataclass(frozen=True)
class Unreadable:
    """Bytes that do not parse as a message of the contract, or hold a text that is not UTF-8."""

    reason: str


def readable(parse: Callable[[bytes], Message]) -> Callable[[bytes], Message | Unreadable]:
    """Return a deserializer that leaves bytes it cannot read to ``check``: gRPC's own refusal has no reason in it."""

    def read(data: bytes) -> Message | Unreadable:
        try:
            return parse(data)
        except DecodeError as error:
            return Unreadable(str(error))

    return read


def check(message: Message | Unreadable, within: str = "") -> Message:
    """Return ``message``; raises INVALID_ARGUMENT for what cannot be read, and for the first rule that it breaks.

    ``within`` is the field of a request that holds it, where it is not a request.
    """
    if isinstance(message, Unreadable):
        raise Failure(
            StatusCode.INVALID_ARGUMENT, ErrorReason.ERROR_REASON_INVALID_REQUEST, f"the request cannot be read: {message.reason}"
        )
    violations = protovalidate.collect_violations(message, fail_fast=True)
    if violations:
        first = violations[0].proto
        elements = first.field.elements if first.field else ()
        path = ".".join([*([within] if within else []), *(element.field_name for element in elements)])
        raise invalid(path, in_words(violations[0]), first.rule_id)
    return message


def text_has_nul() -> Failure:
    """Return INVALID_ARGUMENT for a NUL that the database refused, which does not know the field."""
    return Failure(StatusCode.INVALID_ARGUMENT, ErrorReason.ERROR_REASON_INVALID_REQUEST, "texts must not contain NUL", {"rule": NO_NUL})


def has_nul(message: Message) -> bool:
    """Return whether a text in ``message`` holds a NUL."""
    return next(_with_nul(message), None) is not None


def with_nul_named(failure: Failure, messages: Iterable[Message]) -> Failure:
    """Return ``failure``; if it is a NUL that the database refused, with the name of the field."""
    if failure.metadata.get("rule") != NO_NUL:
        return failure
    field = next((field for message in messages for field in _with_nul(message)), None)
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

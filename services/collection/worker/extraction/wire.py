"""What passes between the pool and a child: a batch of open files there, an answer for each back, over one socket pair."""

import json
import socket
import struct
from collections.abc import Sequence
from time import monotonic
from typing import Any

# Linux passes 253 descriptors at most in one message.
MAX_FILES = 64
_HEAD = struct.Struct("!I")
_ANSWER = struct.Struct("!IQ")
_TAKEN = b"+"
_READ_BYTES = 1024 * 1024
_LANDMARKS_BYTES = 32 * 1024 * 1024


def send_ready(channel: socket.socket, report: dict[str, Any]) -> None:
    """Say that requests may come, or why none will be answered."""
    body = json.dumps(report).encode()
    channel.sendall(_HEAD.pack(len(body)) + body)


def receive_ready(channel: socket.socket, deadline: float) -> dict[str, Any]:
    """Return what the child reports; raises TimeoutError or EOFError."""
    size = _HEAD.unpack(_received(channel, _HEAD.size, deadline))[0]
    report: dict[str, Any] = json.loads(_received(channel, min(size, _READ_BYTES), deadline))
    return report


def send_request(channel: socket.socket, descriptors: Sequence[int], files: Sequence[dict[str, Any]]) -> None:
    body = json.dumps(files).encode()
    message = _HEAD.pack(len(body)) + body
    sent = socket.send_fds(channel, [message], descriptors)
    channel.sendall(message[sent:])


def receive_request(channel: socket.socket) -> tuple[list[int], list[dict[str, Any]]] | None:
    """Return descriptors and descriptions of a batch; None once the pool has gone."""
    start, descriptors, _, _ = socket.recv_fds(channel, _HEAD.size, MAX_FILES)
    if not start:
        return None
    if len(start) < _HEAD.size:
        start += _received(channel, _HEAD.size - len(start), None)
    body = _received(channel, _HEAD.unpack(start)[0], None)
    files: list[dict[str, Any]] = json.loads(body)
    return descriptors, files


def send_taken(channel: socket.socket) -> None:
    """Say that a batch has arrived: from here on, what ends the child is a file of it."""
    channel.sendall(_TAKEN)


def receive_taken(channel: socket.socket, deadline: float) -> None:
    """Wait until a batch has arrived; raises TimeoutError, or EOFError if the child had died before."""
    _received(channel, len(_TAKEN), deadline)


def send_answer(channel: socket.socket, head: dict[str, Any], text: str) -> None:
    """Send an answer; one with more landmarks than can be sent goes without any."""
    body, content = json.dumps(head).encode(), text.encode()
    if len(body) > _LANDMARKS_BYTES:
        body = json.dumps({**head, "landmarks": {name: [] for name in head["landmarks"]}}).encode()
    channel.sendall(_ANSWER.pack(len(body), len(content)) + body)
    channel.sendall(content)


def receive_answer(channel: socket.socket, deadline: float, max_characters: int) -> tuple[dict[str, Any], str]:
    """Return the next answer; raises TimeoutError past the deadline, EOFError if the child has died, ValueError for nonsense."""
    body_bytes, text_bytes = _ANSWER.unpack(_received(channel, _ANSWER.size, deadline))
    if body_bytes > _LANDMARKS_BYTES or text_bytes > 4 * max_characters:
        raise ValueError("the answer is larger than agreed")
    head = json.loads(_received(channel, body_bytes, deadline))
    return head, _received(channel, text_bytes, deadline).decode()


def _received(channel: socket.socket, size: int, deadline: float | None) -> bytearray:
    buffer = bytearray(size)
    view = memoryview(buffer)
    filled = 0
    while filled < size:
        if deadline is not None:
            channel.settimeout(max(0.001, deadline - monotonic()))
        count = channel.recv_into(view[filled : filled + _READ_BYTES])
        if not count:
            raise EOFError
        filled += count
    return buffer

"""Requests whose bodies never end."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from h2.connection import H2Connection
from h2.events import RemoteSettingsChanged, ResponseReceived, StreamReset, TrailersReceived
from h2.exceptions import ProtocolError

_CHUNK = b" " * 65_536
_FRAMES_AT_A_TIME = 50


class Http1:
    """One unfinished request of HTTP/1.1."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def start(self, path: str, size: int, headers: dict[str, str]) -> None:
        """Announce a body of ``size`` bytes."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port)
        lines = [f"POST {path} HTTP/1.1", "host: test", f"content-length: {size}", *(f"{name}: {value}" for name, value in headers.items())]
        self._writer.write("\r\n".join([*lines, "", ""]).encode())

    async def send(self, count: int) -> None:
        """Send bytes of the body, or as many as are taken."""
        with suppress(OSError):
            while count > 0:
                self._writer.write(_CHUNK[:count])
                await self._writer.drain()
                count -= len(_CHUNK)

    async def answer(self) -> bytes:
        """Return what comes before the end of the connection."""
        answer = b""
        with suppress(OSError):
            while part := await self._reader.read(65_536):
                answer += part
        return answer

    async def aclose(self) -> None:
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()


@dataclass
class Http2:
    """Any number of unfinished requests on one connection of HTTP/2; ``ended`` has the last headers of those that are answered or reset."""

    port: int
    ended: dict[int, dict[str, str]] = field(default_factory=dict)

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._http = H2Connection()
        self._http.initiate_connection()
        self._writer.write(self._http.data_to_send())
        self._changed = asyncio.Condition()
        self._has_settings = False
        self._reading = asyncio.create_task(self._read())
        await self.until(lambda: self._has_settings)

    async def aclose(self) -> None:
        self._reading.cancel()
        with suppress(asyncio.CancelledError, OSError, ProtocolError):  # the other side may have ended it in any way
            await self._reading
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    def start(self, path: str, headers: dict[str, str]) -> int:
        """Send the headers of a request; return its stream."""
        stream = self._http.get_next_available_stream_id()
        pseudo = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "test"}
        self._http.send_headers(stream, list({**pseudo, **headers}.items()))
        self._writer.write(self._http.data_to_send())
        return stream

    async def send(self, stream: int, count: int, start: bytes = b"") -> None:
        """Send bytes of a body after ``start``, or as many as are taken before the stream ends."""
        while count > 0 and stream not in self.ended:
            await self.until(lambda: stream in self.ended or self._http.local_flow_control_window(stream) > 0)
            if stream in self.ended:
                return
            size = min(count, self._http.max_outbound_frame_size, self._http.local_flow_control_window(stream))
            self._http.send_data(stream, (start + _CHUNK)[:size])
            start = start[size:]
            count -= size
            self._writer.write(self._http.data_to_send())
            await self._writer.drain()

    async def reset(self, stream: int) -> None:
        """Give a request up."""
        self._http.reset_stream(stream)
        self._writer.write(self._http.data_to_send())
        await self._writer.drain()

    async def flood(self, frames: Callable[[H2Connection], None], count: int) -> int:
        """Send what ``frames`` makes so often, or until the other side closes the connection; return how often."""
        with suppress(OSError, ProtocolError):
            for number in range(count):
                frames(self._http)
                self._writer.write(self._http.data_to_send())
                await self._writer.drain()
                if number % _FRAMES_AT_A_TIME == 0:
                    await asyncio.sleep(0)  # draining does not wait while there is room; the server beside this has its turn
                if self._reading.done() or self._writer.is_closing():
                    return number
        return count

    async def until(self, condition: Callable[[], bool]) -> None:
        async with self._changed:
            await self._changed.wait_for(condition)

    async def _read(self) -> None:
        while data := await self._reader.read(65_536):
            for event in self._http.receive_data(data):
                if isinstance(event, RemoteSettingsChanged):
                    self._has_settings = True
                elif isinstance(event, ResponseReceived | TrailersReceived):
                    headers = {name.decode(): value.decode() for name, value in event.headers or ()}
                    self.ended.setdefault(event.stream_id or 0, {}).update(headers)
                elif isinstance(event, StreamReset):
                    self.ended.setdefault(event.stream_id or 0, {})
            self._writer.write(self._http.data_to_send())
            async with self._changed:
                self._changed.notify_all()

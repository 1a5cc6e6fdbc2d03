"""Clients that do not finish the head of a request."""

import asyncio
import socket

import pytest
import uvicorn

from ganlm_core.serve import protocol
from ganlm_core.serve.protocol import TimedProtocol

GREETING = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def application(scope: object, receive: object, send: object) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})  # type: ignore[operator]
    await send({"type": "http.response.body", "body": b"ok"})  # type: ignore[operator]


async def answers(pieces: list[bytes], pause: float) -> bytes:
    """Return what a client gets that sends pieces with pauses between them, until the server closes."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(application, http=TimedProtocol, lifespan="off", log_level="critical"))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(pause)
        found = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        server.should_exit = True
        await running
    return found


def test_half_a_head_is_closed_after_the_time_however_slowly_it_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "SECONDS", 0.5)
    assert asyncio.run(answers([], 0)) == b""
    assert asyncio.run(answers([bytes([byte]) for byte in GREETING[:4]], 0.2)) == b""


def test_a_whole_head_is_answered_and_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "SECONDS", 5.0)
    assert asyncio.run(answers([GREETING[:10], GREETING[10:]], 0.1)).endswith(b"ok")

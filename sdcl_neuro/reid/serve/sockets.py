"""The page's WebSocket: what is current when it opens, then changes and pictures as they come."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from sdcl_neuro.schemas.validation import validate

from .hub import Viewer
from .service import Service

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

LARGEST_MESSAGE = 8 << 10
"""Bytes of a message from a page; the server reads no longer one."""
ODD_MESSAGES = 8
"""After so many that are not understood the page is closed."""
SLOW_S = 20.0
"""A page that takes nothing for so long is closed."""
WATCH = {
    "type": "object",
    "properties": {
        "type": {"const": "watch"},
        "cameras": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["type", "cameras"],
    "additionalProperties": False,
}
"""What a page may say: which cameras it shows."""
POLICY, TRY_LATER = 1008, 1013


def live(service: Service) -> Callable[[WebSocket], Awaitable[None]]:
    """Return the endpoint."""

    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        viewer = service.hub.join(service.settings.door.viewers)
        if viewer is None:
            await socket.close(TRY_LATER, "too many pages are open")
            return
        try:
            state, points = service.state(), service.meters.history()
            await socket.send_text(json.dumps({"type": "hello", "points": points, **state}))
            await _both(_sending(socket, viewer), _reading(socket, viewer, service))
        finally:
            service.hub.leave(viewer)

    return endpoint


async def _both(*parts: Awaitable[None]) -> None:
    """Run until one of them ends, then end the other; a page that left is no error."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _sending(socket: WebSocket, viewer: Viewer) -> None:
    while True:
        for message in await viewer.next():
            sending = socket.send_text(message) if isinstance(message, str) else (
                socket.send_bytes(message))  # fmt: skip
            await asyncio.wait_for(sending, SLOW_S)


async def _reading(socket: WebSocket, viewer: Viewer, service: Service) -> None:
    odd = 0
    while odd < ODD_MESSAGES:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        found = _understood(message)
        if found is None:
            odd += 1
            continue
        viewer.watched = frozenset(found["cameras"]) & service.cameras.keys()
    await socket.close(POLICY, "messages that are not understood")


def _understood(message: Any) -> dict[str, Any] | None:
    text = message.get("text")
    if text is None or len(text) > LARGEST_MESSAGE:
        return None
    try:
        found = json.loads(text)
        return dict(found) if not any(validate(found, WATCH)) else None
    except (ValueError, RecursionError):
        return None

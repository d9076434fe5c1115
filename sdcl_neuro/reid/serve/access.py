"""Who may come in: hosts, origins, tokens, rates and sizes, checked before anything else."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from .settings import LOOPBACK, Door

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "sdcl_neuro_session"
SESSION_S = 12 * 3600.0
SESSIONS_KEPT = 1024
CLIENTS_KEPT = 4096
LARGEST_BODY = 8 << 20
"""Bytes of a body: a picture to search by."""
LARGEST_HEADERS = 16 << 10
LONGEST_PATH = 2048
BURST, RATE_PER_S = 240.0, 60.0
"""Requests that one client may make at once, and in a second in the long run."""
WRONG_TOKENS, WRONG_WITHIN_S = 10, 60.0
"""After so many wrong tokens within so long a client waits."""
OPEN_PATHS = frozenset({"/", "/login", "/healthz", "/favicon.ico"})
"""Asked without a token: the page itself, which holds no data, and the door."""
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


@dataclass
class _Client:
    """What one address has used up."""

    tokens: float = BURST
    since: float = field(default_factory=time.monotonic)
    wrong: deque[float] = field(default_factory=lambda: deque(maxlen=WRONG_TOKENS))


class Access:
    """An ASGI application around another one.

    Args:
        app: gets what is let in.
        door: see `Door`.
        refused: told of each refusal: its status and the reason.
    """

    def __init__(
        self,
        app: App,
        door: Door,
        *,
        refused: Callable[[int, str], None] = lambda status, why: None,
    ) -> None:
        self._app, self._door, self._refused = app, door, refused
        self._digest = None if door.token is None else _digest(door.token)
        self._sessions: OrderedDict[str, float] = OrderedDict()
        self._clients: OrderedDict[str, _Client] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request or WebSocket; refuse it, or hand it on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = _headers(scope)
        fault = self._fault(scope, headers)
        if fault is not None:
            self._refused(*fault)
            await _refuse(scope, receive, send, *fault)
            return
        scope.setdefault("state", {})["access"] = self
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        await self._app(scope, _bounded(receive), _with_headers(send))

    def login(self, scope: Scope, token: str) -> str | None:
        """Return a new session for the right token; None for a wrong one."""
        client = self._client(scope)
        if not self._right(token):
            client.wrong.append(time.monotonic())
            return None
        session = secrets.token_urlsafe(32)
        self._sessions[session] = time.monotonic() + SESSION_S
        while len(self._sessions) > SESSIONS_KEPT:
            self._sessions.popitem(last=False)
        return session

    def logout(self, scope: Scope) -> None:
        """End the session of a request."""
        self._sessions.pop(_session(_headers(scope)), None)

    def allowed(self, scope: Scope) -> bool:
        """Return whether a request shows the token or a session, where one is needed."""
        if self._digest is None:
            return True
        headers = _headers(scope)
        until = self._sessions.get(_session(headers))
        if until is not None and time.monotonic() < until:
            return True
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            return False
        if self._right(token.strip()):
            return True
        self._client(scope).wrong.append(time.monotonic())
        return False

    @property
    def guarded(self) -> bool:
        """Whether a token is asked."""
        return self._digest is not None

    def _right(self, token: str) -> bool:
        return self._digest is not None and hmac.compare_digest(_digest(token), self._digest)

    def _fault(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        """Return status and reason of a refusal; None for what is let in."""
        if sum(len(name) + len(value) for name, value in scope["headers"]) > LARGEST_HEADERS:
            return 431, "headers too large"
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > LONGEST_PATH:
            return 414, "path too long"
        if not self._known_host(headers.get("host", "")):
            return 421, "unknown host name"
        if not self._same_origin(scope, headers):
            return 403, "another origin"
        client = self._client(scope)
        if not self._within_rate(client):
            return 429, "too many requests"
        shows = scope["path"] == "/login" or "authorization" in headers
        if self._digest is not None and shows and _guessing(client):
            return 429, "too many wrong tokens"
        length = headers.get("content-length", "0")
        if not length.isdecimal() or len(length) > 12 or int(length) > LARGEST_BODY:
            return 413, "body too large"
        path = scope["path"]
        public = scope["type"] == "http" and (path in OPEN_PATHS or path.startswith("/page/"))
        if not public and not self.allowed(scope):
            return 401, "token needed"
        return None

    def _known_host(self, host: str) -> bool:
        """Return whether a Host header names this server: an address, or a name that was stated.

        Names that resolve here may be a stranger's, whose page would then count as this server's
        own (DNS rebinding); addresses are no one's.
        """
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if not host or "@" in host or "/" in host:
            return False
        if self._door.local:
            return name in LOOPBACK or name in self._door.names
        if name == self._door.host or name in self._door.names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _same_origin(self, scope: Scope, headers: dict[str, str]) -> bool:
        """Return whether a request comes from this server's page, or from a program that is no
        browser.
        """
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            # A link from elsewhere may open the page; nothing else.
            return (
                scope["type"] == "http"
                and scope["method"] == "GET"
                and scope["path"] == "/"
                and headers.get("sec-fetch-mode") == "navigate"
            )
        origin = headers.get("origin")
        if origin is None:
            return True
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return parts.scheme in ("http", "https") and parts.netloc == headers.get("host")

    def _client(self, scope: Scope) -> _Client:
        name = (scope.get("client") or ("unknown", 0))[0]
        client = self._clients.setdefault(name, _Client())
        self._clients.move_to_end(name)
        while len(self._clients) > CLIENTS_KEPT:
            self._clients.popitem(last=False)
        return client

    def _within_rate(self, client: _Client) -> bool:
        now = time.monotonic()
        client.tokens = min(BURST, client.tokens + RATE_PER_S * (now - client.since))
        client.since = now
        if client.tokens < 1:
            return False
        client.tokens -= 1
        return True


def _guessing(client: _Client) -> bool:
    full = len(client.wrong) == WRONG_TOKENS
    return full and time.monotonic() - client.wrong[0] < WRONG_WITHIN_S


def _digest(token: str) -> bytes:
    """Hash a token, so that the comparison takes the same time whatever its length."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _headers(scope: Scope) -> dict[str, str]:
    """Return headers by name; of one that stands twice, host and the like, none is believed."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        if key in found and key in ("host", "origin", "content-length", "authorization"):
            text = "\0"
        found[key] = text
    return found


def _session(headers: dict[str, str]) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return "" if morsel is None else morsel.value


def _bounded(receive: Receive) -> Receive:
    """Stop a body that is larger than it said, or says nothing."""
    taken = 0

    async def bounded() -> MutableMapping[str, Any]:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > LARGEST_BODY:
            return {"type": "http.disconnect"}
        return message

    return bounded


def _with_headers(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *_safe(message)]}
        await send(message)

    return sending


def _safe(message: MutableMapping[str, Any]) -> list[tuple[bytes, bytes]]:
    given = {bytes(name).lower() for name, _ in message.get("headers", ())}
    added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
    if b"cache-control" not in given:
        added.append((b"cache-control", b"no-store"))
    return added


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, reason: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        # Before it is accepted, closing answers the handshake with 403.
        await send({"type": "websocket.close", "code": 1008, "reason": reason})
        return
    body = f'{{"error": "{reason}"}}'.encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if status == 429:
        headers.append((b"retry-after", b"5"))
    start = {"type": "http.response.start", "status": status, "headers": headers}
    await _with_headers(send)(start)
    await send({"type": "http.response.body", "body": body})

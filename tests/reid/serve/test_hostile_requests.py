"""A thousand hostile requests: none crashes the server, gets in, or opens a file."""

from __future__ import annotations

import json
import random
import socket
import struct
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from sdcl_neuro.reid.serve import access
from sdcl_neuro.reid.serve.settings import Door, ServeSettings

from .conftest import TOKEN, Client, fresh, running

pytest.importorskip("starlette")

BEARER = {"authorization": f"Bearer {TOKEN}"}
PATHS = [
    "/page/../app.py", "/page/..%2fapp.py", "/page/%2e%2e/%2e%2e/server.py", "//etc/passwd",
    "/page/....//....//etc/passwd", "/page/%00index.html", "/page//etc/passwd", "/../../etc/passwd",
    "/api/entries/../../../etc/passwd/picture", "/api/entries/1e9/picture",
    "/api/entries/-1/picture",
    "/api/entries/99999999999999999999/picture", "/api/cameras/..%2f..%2fetc/picture",
    "/api/cameras/%00/picture", "/api/visit/picture?visit=../../etc/passwd", "/api/recent?limit=-5",
    "/api/recent?limit=1e9", "/api/recent?limit=" + "9" * 400, "/api/persons?offset=%F0%9F%98%80",
    "/api/person?name=" + "A" * 1500, "/api/person?name=%ff%fe", "/%", "/%zz", "/api/live", "*",
    "/page/", "/.git/config", "/api/person?name=' OR 1=1; DROP TABLE entries; --",
]  # fmt: skip
BODIES = [
    b"", b"{", b"null", b"[]", b"1e999", b'{"person": 1, "into": 2}', b'{"person": "a"}',
    b'{"person": "a", "into": "b", "more": 1}', b"[" * 50_000, b'{"a":' * 9_000, b"\xff\xfe\x00",
    b'{"entries": [1, "x"], "person": null}', b'{"entries": [-1], "person": null}',
    b'{"entries": [1e400], "person": null}', b'{"visit": "\\ud800", "person": "\\u0000"}',
    b'{"visit": "../../x", "person": "' + b"n" * 5_000 + b'"}', b" " * 70_000,
]  # fmt: skip
POSTS = ["/api/confirm", "/api/split", "/api/merge", "/api/forget", "/api/search/track", "/login"]


def _png(width: int, height: int, data: bytes = b"") -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + crc

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = data or zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    )


PICTURES = [
    b"", b"GIF89a" + bytes(100), _png(100_000, 100_000), _png(8_192, 8_192), _png(2**31 - 1, 1),
    _png(0, 0), _png(64, 64), b"\xff\xd8\xff" + bytes(5_000),
    b"\xff\xd8\xff\xc0\x00\x11\x08\xff\xff\xff\xff",
    b"\xff\xd8" + b"\xff" * 5_000, b"\xff\xd8\xff\xe0\xff\xff" * 300, b"<svg onload=alert(1)>",
]  # fmt: skip


@pytest.fixture(scope="module")
def guarded(
    plan: ServeSettings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Client, Any]]:
    """A server that asks for a token, with rates that let a test through."""
    folder = tmp_path_factory.mktemp("hostile")
    door = Door(port=0, token=TOKEN)
    patch = pytest.MonkeyPatch()
    patch.setattr(access, "BURST", 1e6)
    patch.setattr(access, "RATE_PER_S", 1e6)
    patch.setattr(access, "WRONG_TOKENS", 10**6)
    settings = replace(fresh(plan, folder), door=door, cameras=plan.cameras[:1])
    with running(settings) as (client, server):
        yield client, server
    patch.undo()


def _raw(address: str, data: bytes, *, answers: int = 4096) -> bytes:
    parts = urlsplit(address)
    address_of = (parts.hostname, parts.port)
    with socket.create_connection(address_of, timeout=5) as raw, suppress(OSError):
        raw.sendall(data)
        raw.shutdown(socket.SHUT_WR)  # the server need not wait for the rest
        return raw.recv(answers)
    return b""


def _status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.") else 0


def _wrong_door(rng: random.Random, host: str) -> tuple[dict[str, str], str]:
    """Headers that must not get in."""
    return rng.choice([
        ({"host": "evil.example"}, "host"),
        ({"host": f"localhost.evil.example:{host.rpartition(':')[2]}"}, "host"),
        ({"host": "127.0.0.1@evil.example"}, "host"),
        ({"host": "[::1"}, "host"),
        ({"host": host, "origin": "http://evil.example"}, "origin"),
        ({"host": host, "origin": "null"}, "origin"),
        ({"host": host, "sec-fetch-site": "cross-site"}, "origin"),
        ({"host": host, "sec-fetch-site": "same-site"}, "origin"),
        ({"host": host}, "token"),
        ({"host": host, "authorization": "Bearer "}, "token"),
        ({"host": host, "authorization": f"Basic {TOKEN}"}, "token"),
        ({"host": host, "authorization": f"Bearer {TOKEN[:-1]}"}, "token"),
        ({"host": host, "authorization": f"Bearer {TOKEN}x"}, "token"),
        ({"host": host, "authorization": "Bearer \xff\xfe"}, "token"),
        ({"host": host, "cookie": f"{access.COOKIE}={'a' * 43}"}, "token"),
        ({"host": host, "cookie": f"{access.COOKIE}=\"; x=\\"}, "token"),
    ])  # fmt: skip


def _no_requests(rng: random.Random, host: str) -> list[bytes]:
    login = f"POST /login HTTP/1.1\r\nhost: {host}\r\n".encode()
    return [
        rng.randbytes(300),
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n\r\n\r\n",
        b"GET /" + b"a" * 40_000,
        b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 4_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        login + b"content-length: 99999999999\r\n\r\n",
        login + b"content-length: -1\r\n\r\n",
        login + b"transfer-encoding: chunked\r\n\r\nZZ\r\n",
    ]


def _closed(socket_: Any) -> int:
    """Read until the server closes; return the code it gives."""
    from websockets.exceptions import ConnectionClosed

    with suppress(ConnectionClosed):
        while True:
            socket_.recv(timeout=10)
    return socket_.close_code


def test_a_thousand_hostile_requests(guarded, tmp_path: Path) -> None:
    client, server = guarded
    rng = random.Random(8)
    host = urlsplit(client.address).netloc
    statuses: Counter[int] = Counter()
    for number in range(1000):
        kind = number % 5
        if kind == 0:  # paths, let in
            path = rng.choice(PATHS).replace(" ", "%20")
            answer = _raw(client.address, (
                f"GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {TOKEN}\r\n"
                "connection: close\r\n\r\n").encode("latin-1"), answers=1 << 16)  # fmt: skip
            assert b"root:" not in answer
            assert b"import " not in answer
            status = _status(answer)
        elif kind == 1:  # doors
            headers, _ = _wrong_door(rng, host)
            with suppress(UnicodeEncodeError):
                path = rng.choice(["/api/status", "/api/persons", "/metrics", "/openapi.json"])
                status = client.send("GET", path, headers=headers)[0]
                assert status in (401, 403, 421), (status, headers)
        elif kind == 2:  # bodies, let in
            headers = {**BEARER, "content-type": rng.choice(["application/json", "text/plain"])}
            status, body, _ = client.send("POST", rng.choice(POSTS), rng.choice(BODIES), headers)
            assert 400 <= status < 500, (status, body)
        elif kind == 3:  # pictures, let in
            status, body, _ = client.send(
                "POST", "/api/search/picture", rng.choice(PICTURES), dict(BEARER)
            )
            assert status in (400, 503, 200), (status, body)
        else:  # bytes that are no request
            data = rng.choice(_no_requests(rng, host))
            status = _status(_raw(client.address, data))
            assert status == 0 or status >= 400, data[:60]
        statuses[status] += 1
    assert statuses[500] == 0, statuses
    assert server.service.failed is None
    status, body, _ = client.send("GET", "/api/status", headers=BEARER)
    assert status == 200
    assert not server.service.desk.closed
    assert json.loads(body)["viewers"] == 0


def test_websockets_of_strangers_are_refused_and_odd_frames_close(guarded) -> None:
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    client, server = guarded
    address = client.address.replace("http", "ws") + "api/live"
    for headers in (
        {},
        {**BEARER, "Origin": "http://evil.example"},
        {**BEARER, "Origin": "null"},
        {"Authorization": "Bearer wrong"},
    ):
        with pytest.raises(InvalidStatus), connect(address, additional_headers=headers):
            pass
    own = {**BEARER, "Origin": client.address.rstrip("/")}
    odd = ["", "{", "[]", '{"type": "watch"}', "[" * 4_000, b"\x00\x01", '{"type": "hello"}', "1"]
    with connect(address, additional_headers=own) as socket_:
        for message in odd:
            socket_.send(message)
        assert _closed(socket_) == 1008
    with connect(address, additional_headers=own) as socket_:
        socket_.send("x" * 100_000)
        assert _closed(socket_) == 1009
    # Frames that are none: reserved bits, an unknown kind, a length without end, no mask.
    parts = urlsplit(client.address)
    shake = (
        f"GET /api/live HTTP/1.1\r\nhost: {parts.netloc}\r\nupgrade: websocket\r\n"
        "connection: upgrade\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"sec-websocket-version: 13\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
    ).encode()
    for frame in (b"\xf1\x80aaaa", b"\x83\x80aaaa", b"\x81\xff" + b"\xff" * 12, b"\x81\x05hello",
                  b"\x89\xfe\xff\xff" + bytes(200), b"\x88\x81aaaa"):  # fmt: skip
        with socket.create_connection((parts.hostname, parts.port), timeout=5) as raw:
            raw.sendall(shake + frame)
            raw.shutdown(socket.SHUT_WR)
            with suppress(OSError):
                while raw.recv(65536):
                    pass
    end = server.service.hub
    for _ in range(100):
        if end.viewers == 0:
            break

        time.sleep(0.05)
    assert end.viewers == 0


def test_a_session_opens_with_the_token_and_ends(guarded) -> None:
    client, _ = guarded
    sent = {"content-type": "application/json"}
    wrong = client.send("POST", "/login", b'{"token": "wrong"}', sent)
    assert wrong[0] == 401
    assert "set-cookie" not in wrong[2]
    status, _, headers = client.send("POST", "/login", json.dumps({"token": TOKEN}).encode(), sent)
    cookie = headers["set-cookie"]
    assert status == 200
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    session = {"cookie": cookie.partition(";")[0]}
    assert client.send("GET", "/api/status", headers=session)[0] == 200
    assert client.send("POST", "/logout", b"", session)[0] == 200
    assert client.send("GET", "/api/status", headers=session)[0] == 401
    # The page itself holds no data, and asks for the token.
    assert client.send("GET", "/")[0] == 200
    assert client.send("GET", "/page/app.js")[0] == 200

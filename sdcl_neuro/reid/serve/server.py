"""`serve`: the service and its web server, from the first camera to the last row stored."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import EnvironmentFault, InputError
from sdcl_neuro.extras import need

from .app import build_app
from .logs import Log
from .service import Service
from .settings import Door, ServeSettings
from .sockets import LARGEST_MESSAGE

UNENCRYPTED = (
    "the token and all pictures cross the network unencrypted: give --tls-certificate and "
    "--tls-key, or put a proxy with TLS in front"
)


class PageServer:
    """A service behind a web server.

    Args:
        settings: see `ServeSettings`.
        say: told in one line what a user should know.
        log: file of structured logs; None writes none.

    Attributes:
        address: of the page, known once `bind` was called.
    """

    def __init__(
        self,
        settings: ServeSettings,
        *,
        say: Callable[[str], None] = lambda line: None,
        log: Path | None = None,
    ) -> None:
        self._uvicorn = need("uvicorn", "sdcl-neuro serve")
        self.log = Log(log, say)
        self.settings = settings
        self.service = Service(settings, say=self.log.note)
        self.address = ""
        self._server: Any = None
        self._ended = threading.Event()

    def bind(self) -> socket.socket:
        """Take the port, before anything is opened.

        Raises:
            EnvironmentFault: it is taken.
        """
        door = self.settings.door
        family = socket.AF_INET6 if ":" in door.host else socket.AF_INET
        taken = socket.socket(family, socket.SOCK_STREAM)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((door.host, door.port))
        except OSError as error:
            taken.close()
            raise EnvironmentFault(
                f"cannot listen ({error.strerror})",
                where=f"{door.host}, port {door.port}",
                hint="give another --port; 0 takes a free one",
            ) from None
        name = f"[{door.host}]" if ":" in door.host else door.host
        self.address = f"{door.scheme}://{name}:{taken.getsockname()[1]}/"
        return taken

    def run(self, on_ready: Callable[[str], None] = lambda address: None) -> None:
        """Serve until SIGINT, SIGTERM or `stop`; everything has ended when it returns.

        Args:
            on_ready: called with the page's address once it answers.

        Raises:
            InputError: a gallery that cannot be used.
            EnvironmentFault: a port that is taken, or a thread that did not end.
        """
        with self.bind() as taken, _signals(self.stop):
            for line in _warnings(self.settings.door):
                self.log.note(line)
            try:
                self.service.begin()
                if not self._ended.is_set():
                    asyncio.run(self._serve(taken, on_ready))
            finally:
                ended = self.service.end()
                self.log.close()
        if self.service.failed is not None:
            raise self.service.failed
        if not ended and not self._reading():
            raise EnvironmentFault("the gallery did not end in time", hint="look at its disk")

    def stop(self) -> None:
        """End; safe to call from any thread, and before `run`."""
        self._ended.set()
        if self._server is not None:
            self._server.should_exit = True

    async def _serve(self, taken: socket.socket, on_ready: Callable[[str], None]) -> None:
        door = self.settings.door
        config = self._uvicorn.Config(
            build_app(self.service, self.log),
            http="h11",
            ws="websockets-sansio",
            ws_max_size=LARGEST_MESSAGE,
            ws_ping_interval=20.0,
            ws_per_message_deflate=False,  # pictures are compressed already
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=8 * door.viewers,
            backlog=128,
            timeout_keep_alive=10,
            timeout_graceful_shutdown=1,
            h11_max_incomplete_event_size=32 << 10,
            ssl_certfile=None if door.certificate is None else str(door.certificate),
            ssl_keyfile=None if door.key is None else str(door.key),
        )
        try:
            config.load()
        except OSError as error:  # ssl.SSLError is one, too
            raise InputError(
                f"a certificate or key that cannot be used ({error})",
                where="--tls-certificate",
                hint="give PEM files that belong together",
            ) from None
        self._server = self._uvicorn.Server(config)
        self.service.on_failure = self.stop
        beside = [asyncio.ensure_future(self._tick()), asyncio.ensure_future(self._ready(on_ready))]
        try:
            if not self._ended.is_set():
                await self._server.serve(sockets=[taken])
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    async def _ready(self, on_ready: Callable[[str], None]) -> None:
        while not self._server.started:
            await asyncio.sleep(0.02)
        on_ready(self.address)

    async def _tick(self) -> None:
        """Close each second of the curves and tell the pages."""
        while True:
            await asyncio.sleep(1.0)
            point = await asyncio.to_thread(self.service.meters.tick)
            self.service.hub.publish("second", {"point": point, **self.service.state()})

    def _reading(self) -> bool:
        """Return whether only cameras are left, whose reads may never return and hold nothing."""
        return self.service.desk.closed


def _warnings(door: Door) -> list[str]:
    if door.local:
        return []
    found = [f"listening on {door.host}, beyond this machine: whoever has the token can look"]
    return found if door.scheme == "https" else [*found, UNENCRYPTED]


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """Let SIGINT and SIGTERM end the server in good order; a second SIGINT interrupts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}

    def first(number: int, frame: object) -> None:
        stop()

    for one in before:
        signal.signal(one, first)
    try:
        yield
    finally:
        for one, handler in before.items():
            with suppress(ValueError):
                signal.signal(one, handler)

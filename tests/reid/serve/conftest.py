"""A server in this process, over the pipeline's little film and its untrained model."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from sdcl_neuro.hybrid.live import LiveSettings
from sdcl_neuro.reid.pipeline.live_source import LiveSource
from sdcl_neuro.reid.serve.settings import CameraSpec, Door, GalleryPlan, ServeSettings

from ..pipeline.conftest import Material, make_checkpoint, make_material, make_model

TRACKLETS = 13  # of the film: windows of two frames
VISITS = 3
TOKEN = "a-token-for-tests-0123456789"


@dataclass
class Client:
    """Asks a server over HTTP."""

    address: str

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, bytes, dict[str, str]]:
        parts = urlsplit(self.address)
        connection = HTTPConnection(parts.hostname or "", parts.port or 0, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()}
        finally:
            connection.close()

    def get(self, path: str, **query: Any) -> Any:
        status, body, _ = self.send("GET", f"{path}?{urlencode(query)}" if query else path)
        assert status == 200, (status, body)
        return json.loads(body)

    def post(self, path: str, status: int = 200, **values: Any) -> Any:
        found, body, _ = self.send(
            "POST", path, json.dumps(values).encode(), {"content-type": "application/json"}
        )
        assert found == status, (found, body)
        return json.loads(body)

    def until(self, path: str, holds: Any, *, within: float = 60.0, **query: Any) -> Any:
        end = time.monotonic() + within
        while time.monotonic() < end:
            if holds(found := self.get(path, **query)):
                return found
            time.sleep(0.05)
        raise AssertionError(found)


@contextmanager
def running(settings: ServeSettings, **options: Any) -> Iterator[tuple[Client, Any]]:
    """A server on a thread, ended with the block."""
    from sdcl_neuro.reid.serve.server import PageServer

    server, ready, errors = PageServer(settings, **options), threading.Event(), []

    def run() -> None:
        try:
            server.run(lambda address: ready.set())
        except BaseException as error:
            errors.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(120)
        assert not errors, errors
        yield Client(server.address), server
    finally:
        server.stop()
        thread.join(15)
    assert not thread.is_alive()
    assert not errors, errors


@contextmanager
def seen_before(settings: ServeSettings) -> Iterator[tuple[Client, Any]]:
    """A server of the second camera, after another one has shown the first camera to its end."""
    with running(replace(settings, cameras=settings.cameras[:1])) as (client, _):
        client.until("/api/status", all_looked_up)
    with running(replace(settings, cameras=settings.cameras[1:])) as (client, server):
        client.until("/api/status", all_looked_up)
        yield client, server


def all_looked_up(state: Any) -> bool:
    """Whether one camera's tracklets have all been looked up."""
    return bool(state["totals"].get("searched", 0) == TRACKLETS)


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return make_material(tmp_path_factory.mktemp("film"))


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("model"), make_model())


@pytest.fixture(scope="session")
def plan(film: Material, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> ServeSettings:
    """Two cameras that show the same film; everything is stored."""
    pytest.importorskip("uvicorn")
    source = LiveSource(str(film.video), str(film.tracks), speed=0)
    address = str(tmp_path_factory.mktemp("gallery") / "people.gallery")
    return ServeSettings(
        cameras=(CameraSpec("door", source), CameraSpec("hall", source)),
        gallery=GalleryPlan(address, enrol=True, keep_crops=True),
        door=Door(port=0),
        checkpoint=weights,
        live=LiveSettings(batch=4, queue=16, policy="block"),
        threshold=0.99999,
    )


def fresh(plan: ServeSettings, folder: Path, **changes: Any) -> ServeSettings:
    """The same with a gallery of its own."""
    address = str(folder / "fresh.gallery")
    return replace(plan, gallery=replace(plan.gallery, address=address), **changes)

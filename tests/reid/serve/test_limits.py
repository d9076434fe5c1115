"""How much one client may ask, and how many pages may be open."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from sdcl_neuro.reid.serve import access
from sdcl_neuro.reid.serve.settings import Door, ServeSettings

from .conftest import TOKEN, fresh, running

pytest.importorskip("starlette")

BEARER = {"authorization": f"Bearer {TOKEN}"}


def test_only_so_many_pages_and_requests_at_a_time(plan: ServeSettings, tmp_path: Path) -> None:
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    door = Door(port=0, token=TOKEN, viewers=2)
    with running(replace(fresh(plan, tmp_path), door=door, cameras=plan.cameras[:1])) as (
        client,
        _,
    ):
        address = client.address.replace("http", "ws") + "api/live"
        with (
            connect(address, additional_headers=BEARER) as one,
            connect(address, additional_headers=BEARER) as two,
        ):
            assert one.recv(timeout=10)
            assert two.recv(timeout=10)
            with connect(address, additional_headers=BEARER) as three:
                with suppress(ConnectionClosed):
                    three.recv(timeout=10)
                assert three.close_code == 1013
        for _ in range(access.WRONG_TOKENS):
            assert (
                client.send("GET", "/api/status", headers={"authorization": "Bearer no"})[0] == 401
            )
        # The right one is not even looked at now.
        assert client.send("GET", "/api/status", headers=BEARER)[0] == 429
        statuses = {client.send("GET", "/healthz")[0] for _ in range(int(access.BURST) + 60)}
        assert statuses == {200, 429}

"""The whole server over HTTP and WebSocket: cameras, gallery, and what people do to it."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sdcl_neuro.reid.gallery import Gallery
from sdcl_neuro.reid.serve.settings import ServeSettings
from sdcl_neuro.schemas.validation import validate

from .conftest import (
    TRACKLETS,
    VISITS,
    Client,
    all_looked_up,
    fresh,
    running,
    seen_before,
)

pytest.importorskip("starlette")


@pytest.fixture(scope="module")
def served(plan: ServeSettings) -> Iterator[tuple[Client, Any]]:
    with seen_before(plan) as found:
        yield found


def test_the_second_camera_recognises_whom_the_first_has_seen(served) -> None:
    client, _ = served
    status = client.get("/api/status")
    (camera,) = status["cameras"]
    assert (camera["name"], camera["state"], camera["tracklets"]) == ("hall", "ended", TRACKLETS)
    assert status["dropped"] == 0
    assert status["gallery"]["entries"] == 2 * TRACKLETS
    found = client.get("/api/persons")
    assert found["count"] == VISITS
    assert [one["cameras"] for one in found["persons"]] == [["door", "hall"]] * VISITS
    for one in found["persons"]:
        timeline = client.get("/api/person", name=one["person"])["timeline"]
        assert [visit["camera"] for visit in timeline] == ["door", "hall"]
        assert len({visit["name"].split("/")[-1] for visit in timeline}) == 1  # the same track
        assert timeline[0]["cosine"] is None
        assert timeline[1]["cosine"] > 0.9999
    recent = client.get("/api/recent", limit=4)["visits"]
    assert [visit["camera"] for visit in recent[:3]] == ["hall"] * 3
    assert all(visit["person"].startswith("door/") and not visit["named"] for visit in recent[:3])


def test_pictures_are_there_for_entries_visits_and_cameras(served) -> None:
    client, _ = served
    for path in ("/api/cameras/hall/picture", "/api/entries/1/picture"):
        status, body, headers = client.send("GET", path)
        assert (status, headers["content-type"]) == (200, "image/jpeg")
        assert body.startswith(b"\xff\xd8")
    assert client.send("GET", "/api/entries/99999/picture")[0] == 404
    assert client.send("GET", "/api/cameras/nowhere/picture")[0] == 404


def test_search_by_track_and_by_picture_ranks_persons(served) -> None:
    client, _ = served
    visit = client.get("/api/recent")["visits"][0]
    hits = client.post("/api/search/track", visit=visit["visit"], top=3)["hits"]
    assert hits[0]["person"] == visit["person"]
    assert hits[0]["cosine"] > 0.9999
    assert [hit["cosine"] for hit in hits] == sorted((h["cosine"] for h in hits), reverse=True)
    picture = client.send("GET", "/api/entries/1/picture")[1]
    status, body, _ = client.send(
        "POST", "/api/search/picture?top=2", picture, {"content-type": "image/jpeg"}
    )
    found = json.loads(body)
    assert status == 200
    assert len(found["hits"]) == 2
    assert "no events" in found["note"]
    for wrong in (b"", b"GIF89a", b"\xff\xd8\xff" + bytes(200), picture[: len(picture) // 8]):
        assert client.send("POST", "/api/search/picture", wrong)[0] == 400


def test_confirm_split_merge_and_forget(plan: ServeSettings, tmp_path: Path) -> None:
    settings = fresh(plan, tmp_path)
    with seen_before(settings) as (client, _):
        first, second, third = (one["person"] for one in client.get("/api/persons")["persons"])
        visit = client.get("/api/person", name=first)["timeline"][0]["name"]
        client.post("/api/confirm", visit=visit, person=" Alice  B. ")
        found = client.get("/api/person", name="Alice B.")
        assert (found["visits"], found["unconfirmed"], found["named"]) == (2, 1, True)

        proposed = next(one for one in found["timeline"] if not one["confirmed"])
        client.post("/api/split", entries=proposed["entries"], person="Bob")
        assert client.get("/api/person", name="Alice B.")["visits"] == 1
        assert client.get("/api/person", name="Bob")["visits"] == 1

        client.post("/api/merge", person=second, into="Bob")
        assert client.get("/api/person", name="Bob")["visits"] == 3
        gone = client.get("/api/person", name="Bob")["entries"]
        names = [
            one["visit"] for one in client.get("/api/recent")["visits"] if one["person"] == "Bob"
        ]
        assert names

        assert client.post("/api/forget", person="Bob") == {"entries": gone}
        assert client.send("GET", "/api/person?name=Bob")[0] == 404
        assert {one["person"] for one in client.get("/api/persons")["persons"]} == {
            "Alice B.",
            third,
        }
        # Nothing is left in memory, either.
        assert all(one["visit"] not in names for one in client.get("/api/recent")["visits"])
        assert client.send("GET", f"/api/visit/picture?visit={names[0]}")[0] == 404
        actions = [line["action"] for line in client.get("/api/audit", limit=500)["audit"]]
        assert {"enrol", "search", "relabel", "forget"} <= set(actions)
        for path, values in {
            "/api/merge": {"person": "Bob", "into": third},
            "/api/forget": {"person": "Bob"},
            "/api/confirm": {"visit": "door/x/1", "person": "C"},
            "/api/split": {"entries": [10**6]},
        }.items():
            client.post(path, 404, **values)
    with Gallery(settings.gallery.address, create=False) as gallery:
        assert len(gallery) == 2 * TRACKLETS - gone
        assert b"Bob" not in Path(settings.gallery.address).read_bytes()


def test_what_another_program_changes_is_seen(plan: ServeSettings, tmp_path: Path) -> None:
    settings = fresh(plan, tmp_path, cameras=plan.cameras[:1])
    with running(settings) as (client, _):
        client.until("/api/status", all_looked_up)
        with Gallery(settings.gallery.address, create=False) as gallery:
            gallery.relabel([1], "Carol")
        assert "Carol" in {one["person"] for one in client.get("/api/persons")["persons"]}


def test_without_enrolment_nothing_is_stored(plan: ServeSettings, tmp_path: Path, served) -> None:
    from dataclasses import replace

    copied = tmp_path / "copy.gallery"
    with Gallery(plan.gallery.address, create=False) as gallery:
        gallery.copy(copied)
    looking = replace(plan.gallery, address=str(copied), enrol=False, keep_crops=False)
    with running(replace(plan, gallery=looking, cameras=plan.cameras[:1])) as (client, _):
        client.until("/api/status", all_looked_up)
        recent = client.get("/api/recent")["visits"]
        assert {one["stored"] for one in recent} == {0}
        assert all(one["person"] for one in recent)  # recognised all the same
        client.post("/api/confirm", 404, visit=recent[0]["visit"], person="A")
        assert client.post("/api/search/track", visit=recent[0]["visit"])["hits"]
    with Gallery(copied, create=False) as gallery:
        assert len(gallery) == 2 * TRACKLETS


def test_a_page_is_told_of_everything_as_it_happens(plan: ServeSettings, tmp_path: Path) -> None:
    from websockets.sync.client import connect

    slow = [replace_speed(camera) for camera in plan.cameras]
    with running(fresh(plan, tmp_path, cameras=tuple(slow))) as (client, _):
        address = client.address.replace("http", "ws") + "api/live"
        with connect(address) as socket:
            hello = json.loads(socket.recv(timeout=20))
            assert hello["type"] == "hello"
            assert [camera["name"] for camera in hello["cameras"]] == ["door", "hall"]
            socket.send(json.dumps({"type": "watch", "cameras": ["door", "hall", "nowhere"]}))
            kinds, seen, shown = set(), set(), []
            while len(seen) < 2 * VISITS or not {"second", "camera"} <= kinds or not shown:
                message = socket.recv(timeout=30)
                if isinstance(message, bytes):
                    shown.append(_unpacked(message))
                    continue
                told = json.loads(message)
                kinds.add(told["type"])
                if told["type"] == "seen":
                    seen.add(told["visit"])
            assert {"second", "seen", "camera"} <= kinds
            head, parts = shown[-1]
            assert head["camera"] in ("door", "hall")
            assert parts[0].startswith(b"\xff\xd8")
            assert parts[1].startswith(b"\x89PNG")
            assert all(0 <= value <= 1 for one in head["boxes"] for value in one["box"])
            assert not any("nowhere" in one[0]["camera"] for one in shown)


def replace_speed(camera: Any) -> Any:
    from dataclasses import replace

    return replace(camera, source=replace(camera.source, speed=0.2))


def _unpacked(message: bytes) -> tuple[dict[str, Any], list[bytes]]:
    (length,) = struct.unpack_from("<I", message)
    head, place, parts = json.loads(message[4 : 4 + length]), 4 + length, []
    for size in head["parts"]:
        parts.append(message[place : place + size])
        place += size
    assert place == len(message)
    return head, parts


def test_curves_metrics_and_openapi_agree_with_the_counts(served) -> None:
    client, _ = served
    points = client.until("/api/curves", lambda found: found["points"])["points"]
    assert any(point["spikes_per_s"] > 0 and point["synops_per_s"] > 0 for point in points)
    priced = next(point for point in points if point["energy_uj"])
    assert set(priced["energy_uj"]) == {"loihi1", "loihi2"}
    assert all(0 < one["low"] <= one["high"] for one in priced["energy_uj"].values())
    text = client.send("GET", "/metrics")[1].decode()
    assert f"sdcl_neuro_embedded_total {float(TRACKLETS)}" in text
    assert 'sdcl_neuro_camera_state{camera="hall",state="ended"} 1.0' in text
    document = client.get("/openapi.json")
    assert document["openapi"].startswith("3.1")
    for path, methods in document["paths"].items():
        for method in methods:
            assert method in ("get", "post"), path
    assert "components" not in document
    body = document["paths"]["/api/merge"]["post"]["requestBody"]["content"]["application/json"]
    assert not list(validate({"person": "a", "into": "b"}, body["schema"]))


def test_the_page_and_its_files_ask_no_one_else(served) -> None:
    client, _ = served
    status, body, headers = client.send("GET", "/")
    assert status == 200
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["x-content-type-options"] == "nosniff"
    page = Path(__file__).resolve().parents[3] / "sdcl_neuro/reid/serve/page"
    for one in page.iterdir():
        status, served_bytes, _ = client.send("GET", f"/page/{one.name}")
        assert (status, served_bytes) == (200, one.read_bytes())
        text = one.read_text("utf-8")
        assert "http://" not in text.replace("http://www.w3.org/", "")
        assert "https://" not in text
        assert "innerHTML" not in text
    assert b"style=" not in body
    assert b"<script>" not in body


def test_a_log_names_no_person_and_no_token(plan: ServeSettings, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    with running(fresh(plan, tmp_path, cameras=plan.cameras[:1]), log=log) as (client, _):
        client.send("GET", "/api/person?name=Somebody")
        client.send("GET", "/", headers={"host": "evil.example"})
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {"note", "request", "refused"} == {line["event"] for line in lines}
    assert "Somebody" not in log.read_text()

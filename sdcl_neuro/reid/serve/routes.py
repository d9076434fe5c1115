"""The table of what programs may ask: one row each, from which the server and OpenAPI are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sdcl_neuro import __version__

LONGEST_NAME = 200
"""Characters of a person's name."""
_NAME = {"type": "string", "description": f"1 to {LONGEST_NAME} characters"}
_IDS = {"type": "array", "items": {"type": "integer", "minimum": 1}}


def _body(**properties: Mapping[str, Any]) -> dict[str, Any]:
    required = [name for name, one in properties.items() if "null" not in str(one["type"])]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


@dataclass(frozen=True)
class ApiRoute:
    """One thing to ask.

    Attributes:
        path: below the server's address; ``{name}`` stands for a camera's name or a number.
        method: GET or POST.
        handler: name of the function in `handlers`.
        summary: one line.
        query: parameters in the address: type and meaning.
        body: schema of a JSON body; None where there is none.
        picture: whether the body is a JPEG or PNG file.
        answer: content type of the answer.
    """

    path: str
    method: str
    handler: str
    summary: str
    query: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    picture: bool = False
    answer: str = "application/json"


ROWS = (
    ApiRoute("/api/status", "GET", "status", "model, gallery, threshold, counts, cameras"),
    ApiRoute("/api/curves", "GET", "curves", "the last five minutes, second by second"),
    ApiRoute(
        "/api/cameras/{camera}/picture",
        "GET",
        "camera_picture",
        "the last frame of a camera",
        answer="image/jpeg",
    ),
    ApiRoute(
        "/api/recent",
        "GET",
        "recent",
        "visits seen last, the latest first",
        query={"limit": ("integer", "largest number returned (50)")},
    ),
    ApiRoute(
        "/api/persons",
        "GET",
        "persons",
        "persons of the gallery, the last seen first",
        query={
            "text": ("string", "part of the name"),
            "limit": ("integer", "largest number returned (100)"),
            "offset": ("integer", "how many to skip (0)"),
        },
    ),
    ApiRoute(
        "/api/person",
        "GET",
        "person",
        "timeline of a person: visits with camera and time",
        query={"name": ("string", "of the person")},
    ),
    ApiRoute(
        "/api/visit/picture",
        "GET",
        "visit_picture",
        "picture of a visit that is in memory; never stored",
        query={"visit": ("string", "name of the visit")},
        answer="image/jpeg",
    ),
    ApiRoute(
        "/api/entries/{number}/picture",
        "GET",
        "entry_picture",
        "picture stored with an entry (serve --keep-crops)",
        answer="image/jpeg",
    ),
    ApiRoute(
        "/api/search/track",
        "POST",
        "search_track",
        "entries most like a visit",
        body=_body(visit={"type": "string"}, top={"type": ["integer", "null"], "minimum": 1}),
    ),
    ApiRoute(
        "/api/search/picture",
        "POST",
        "search_picture",
        "entries most like the person in a picture; without events, so only a ranking",
        query={"top": ("integer", "largest number returned (10)")},
        picture=True,
    ),
    ApiRoute(
        "/api/confirm",
        "POST",
        "confirm",
        "say who a visit was",
        body=_body(visit={"type": "string"}, person=_NAME),
    ),
    ApiRoute(
        "/api/split",
        "POST",
        "split",
        "take entries out of a person: another person, or a new one",
        body=_body(entries=_IDS, person={"type": ["string", "null"]}),
    ),
    ApiRoute(
        "/api/merge",
        "POST",
        "merge",
        "make two persons one",
        body=_body(person=_NAME, into=_NAME),
    ),
    ApiRoute(
        "/api/forget",
        "POST",
        "forget",
        "erase a person: rows, index, free pages, memory",
        body=_body(person=_NAME),
    ),
    ApiRoute(
        "/api/audit",
        "GET",
        "audit",
        "what was done to the gallery, the latest last",
        query={"limit": ("integer", "largest number returned (50)")},
    ),
    ApiRoute("/metrics", "GET", "metrics", "Prometheus metrics", answer="text/plain"),
    ApiRoute("/openapi.json", "GET", "openapi_document", "this description"),
    ApiRoute("/healthz", "GET", "health", "whether the server runs; asked without a token"),
)


def openapi(*, guarded: bool) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of `ROWS`."""
    paths: dict[str, dict[str, Any]] = {}
    for row in ROWS:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row)
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "sdcl-neuro serve",
            "version": __version__,
            "description": "Cameras, sightings and the gallery of one server. The page itself is "
            "told of changes by a WebSocket, /api/live.",
        },
        "paths": paths,
    }
    if guarded:
        scheme = {"type": "http", "scheme": "bearer"}
        document["components"] = {"securitySchemes": {"token": scheme}}
        document["security"] = [{"token": []}]
    return document


def _operation(row: ApiRoute) -> dict[str, Any]:
    kind = "integer" if "{number}" in row.path else "string"
    names = [part[1:-1] for part in row.path.split("/") if part.startswith("{")]
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": kind}} for name in names
    ]
    parameters += [
        {"name": name, "in": "query", "description": text, "schema": {"type": of}}
        for name, (of, text) in row.query.items()
    ]
    fault = {
        "description": "refused, with the reason",
        "content": {
            "application/json": {
                "schema": {"type": "object", "properties": {"error": {"type": "string"}}}
            }
        },
    }
    found: dict[str, Any] = {
        "operationId": row.handler,
        "summary": row.summary,
        "parameters": parameters,
        "responses": {
            "200": {"description": "done", "content": {row.answer: {}}},
            "4XX": fault,
            "503": fault,
        },
    }
    if row.body is not None:
        content: dict[str, Any] = {"application/json": {"schema": row.body}}
        found["requestBody"] = {"required": True, "content": content}
    if row.picture:
        found["requestBody"] = {"required": True, "content": {"image/jpeg": {}, "image/png": {}}}
    return found

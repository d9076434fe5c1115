"""The web application: the rows of `routes`, the page's files, the door and the WebSocket."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from sdcl_neuro.errors import SdclNeuroError
from sdcl_neuro.extras import need
from sdcl_neuro.schemas.validation import validate

from . import handlers
from .access import COOKIE, LARGEST_BODY, SESSION_S, Access, App
from .desk import Busy
from .logs import Log
from .routes import ROWS, ApiRoute
from .service import Service
from .sockets import live

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

LARGEST_JSON = 64 << 10
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
"""Content types of the page's files."""
Page = Mapping[str, tuple[bytes, str]]


def build_app(service: Service, log: Log) -> App:
    """Return the whole application, access checks included."""
    routing = need("starlette.routing", "sdcl-neuro serve")
    applications = need("starlette.applications", "sdcl-neuro serve")
    page = page_files()
    routes = [routing.Route(row.path, _endpoint(service, row, log), methods=[row.method])
              for row in ROWS]  # fmt: skip
    routes += [
        routing.Route("/", _file(page, "index.html"), methods=["GET"]),
        routing.Route("/favicon.ico", _file(page, "favicon.svg"), methods=["GET"]),
        *(routing.Route(f"/page/{name}", _file(page, name), methods=["GET"]) for name in page),
        routing.Route("/login", _login(service, log), methods=["POST"]),
        routing.Route("/logout", _logout, methods=["POST"]),
        routing.WebSocketRoute("/api/live", live(service)),
    ]
    inner = applications.Starlette(routes=routes)
    return Access(inner, service.settings.door, refused=log.refused)


def page_files() -> Page:
    """Read the page's files once: no request opens a file."""
    folder = files(__package__) / "page"
    found = {}
    for one in folder.iterdir():
        kind = KINDS.get("." + one.name.rpartition(".")[2])
        if kind is not None:
            found[one.name] = (one.read_bytes(), kind)
    return found


def _file(page: Page, name: str) -> Callable[[Request], Awaitable[Response]]:
    async def send(request: Request) -> Response:
        body, kind = page[name]
        return _response(body, kind=kind, cache="no-cache")

    return send


def _endpoint(
    service: Service, row: ApiRoute, log: Log
) -> Callable[[Request], Awaitable[Response]]:
    handler = getattr(handlers, row.handler)

    async def answer(request: Request) -> Response:
        begun = time.perf_counter()
        status, content = await _answered(handler, service, row, request)
        log.request(row, status, time.perf_counter() - begun)
        if isinstance(content, bytes):
            kind = "text/plain; version=0.0.4" if row.answer == "text/plain" else row.answer
            if content.startswith(b"\x89PNG"):
                kind = "image/png"
            return _response(content, kind=kind, status=status)
        return _response(json.dumps(content).encode(), status=status)

    return answer


async def _answered(
    handler: Callable[[Service, dict[str, Any]], Awaitable[Any]],
    service: Service,
    row: ApiRoute,
    request: Request,
) -> tuple[int, Any]:
    """Return the status and what is answered: JSON values or bytes."""
    try:
        given = await _given(row, request)
        if isinstance(given, _Refused):
            return given.status, {"error": given.reason}
        return 200, await handler(service, given)
    except handlers.NotThere as error:
        return 404, {"error": str(error)}
    except SdclNeuroError as error:
        return 400, {"error": str(error)}
    except (Busy, TimeoutError):
        return 503, {"error": "the server is busy or ending; ask again"}


class _Refused(Exception):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


async def _given(row: ApiRoute, request: Request) -> dict[str, Any] | _Refused:
    """Return parameters of a request, checked against its row."""
    given: dict[str, Any] = {**request.path_params}
    kinds = {name: of for name, (of, _) in row.query.items()} | (
        {"number": "integer"} if "{number}" in row.path else {}
    )
    given |= {
        name: request.query_params[name] for name in row.query if name in request.query_params
    }
    for name, of in kinds.items():
        if of == "integer" and name in given:
            if not (given[name].isascii() and given[name].isdecimal() and len(given[name]) < 16):
                return _Refused(400, f"{name}: expected a whole number")
            given[name] = int(given[name])
    if row.picture:
        return {**given, "picture": await _body(request, LARGEST_BODY)}
    if row.body is not None:
        body = await _json(request, row.body)
        return body if isinstance(body, _Refused) else {**given, **body}
    return given


async def _json(request: Request, schema: Mapping[str, Any]) -> dict[str, Any] | _Refused:
    # A form on another page can send no such type without asking first.
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return _Refused(415, "expected application/json")
    data = await _body(request, LARGEST_JSON)
    if len(data) > LARGEST_JSON:
        return _Refused(413, "body too large")
    try:
        found = json.loads(data)
        faults = list(validate(found, schema))
    except (ValueError, RecursionError):
        return _Refused(400, "expected JSON")
    if faults:
        return _Refused(400, str(faults[0])[:300])
    return dict(found)


async def _body(request: Request, limit: int) -> bytes:
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > limit:
            break
    return bytes(data)


def _login(service: Service, log: Log) -> Callable[[Request], Awaitable[Response]]:
    schema = {
        "type": "object",
        "properties": {"token": {"type": "string"}},
        "required": ["token"],
        "additionalProperties": False,
    }

    async def login(request: Request) -> Response:
        body = await _json(request, schema)
        if isinstance(body, _Refused):
            return _response(json.dumps({"error": body.reason}).encode(), status=body.status)
        access: Access = request.scope["state"]["access"]
        session = access.login(request.scope, body["token"])
        if session is None:
            log.refused(401, "wrong token")
            return _response(b'{"error": "wrong token"}', status=401)
        response = _response(b"{}")
        response.set_cookie(
            COOKIE,
            session,
            max_age=int(SESSION_S),
            httponly=True,
            samesite="strict",
            secure=service.settings.door.scheme == "https",
        )
        return response

    return login


async def _logout(request: Request) -> Response:
    access: Access = request.scope["state"]["access"]
    access.logout(request.scope)
    response = _response(b"{}")
    response.delete_cookie(COOKIE)
    return response


def _response(
    body: bytes, *, kind: str = "application/json", status: int = 200, cache: str = "no-store"
) -> Response:
    responses = need("starlette.responses", "sdcl-neuro serve")
    found: Response = responses.Response(
        body, status_code=status, media_type=kind, headers={"cache-control": cache}
    )
    return found

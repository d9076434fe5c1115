"""Answers on the server itself: status, curves, cameras, metrics, its own description."""

from __future__ import annotations

import asyncio

from sdcl_neuro.errors import InputError

from .. import metrics as prometheus
from ..pictures import frame_jpeg
from ..routes import openapi
from ..service import Service
from .asking import NotThere, Values, asked, at_most


async def status(service: Service, given: Values) -> Values:
    """See `routes`."""
    found, plan = service.recognition, service.settings.gallery

    def gallery() -> Values:
        kept = service.desk.gallery.retention
        return {
            "address": service.desk.gallery.address,
            "enrol": plan.enrol,
            "keep_crops": plan.keep_crops,
            "retain_s": None if kept is None else kept.total_seconds(),
            "entries": len(service.desk.people),
        }

    return {
        **service.state(),
        "gallery": await asked(service, gallery),
        "model": {"sha256": service.model, "trained": service.trained},
        "backend": service.settings.backend,
        "hardware": list(service.settings.hardware),
        "threshold": service.threshold,
        "recognition": None if found is None else {**found.to_dict(), "line": found.line()},
        "assumed": list(service.assumed),
    }


async def curves(service: Service, given: Values) -> Values:
    """See `routes`."""
    return {"points": service.meters.history()}


async def camera_picture(service: Service, given: Values) -> bytes:
    """See `routes`."""
    camera = service.cameras.get(given["camera"])
    if camera is None or camera.look is None:
        raise NotThere("no such camera, or no picture yet")
    return await asyncio.to_thread(frame_jpeg, camera.look.frame)


async def audit(service: Service, given: Values) -> Values:
    """See `routes`."""
    limit = at_most(given, 50)
    lines = await asked(service, lambda: service.desk.gallery.audit(limit))
    return {"audit": [line.to_dict() for line in lines]}


async def metrics(service: Service, given: Values) -> bytes:
    """See `routes`."""
    return prometheus.exposition(service)


async def openapi_document(service: Service, given: Values) -> Values:
    """See `routes`."""
    return openapi(guarded=service.settings.door.token is not None)


async def health(service: Service, given: Values) -> Values:
    """See `routes`."""
    if service.failed is not None:
        raise InputError("the model failed")
    return {"running": True}

"""What the server answers, one function for each row of `routes.ROWS`.

A handler gets the service and the parameters that were checked, and returns plain JSON values or
bytes. `app` turns them into answers.
"""

from __future__ import annotations

from .asking import NotThere
from .people_changed import confirm, forget, merge, split
from .people_shown import entry_picture, person, persons, recent, visit_picture
from .searches import search_picture, search_track
from .server_state import audit, camera_picture, curves, health, metrics, openapi_document, status

__all__ = [
    "NotThere",
    "audit",
    "camera_picture",
    "confirm",
    "curves",
    "entry_picture",
    "forget",
    "health",
    "merge",
    "metrics",
    "openapi_document",
    "person",
    "persons",
    "recent",
    "search_picture",
    "search_track",
    "split",
    "status",
    "visit_picture",
]

"""Helper processes that never outlive the process that started them."""

from __future__ import annotations

import os


def follow_parent() -> None:
    """End this worker when its parent ends, also when that was killed; a pool's initialiser."""
    import threading
    from multiprocessing import connection, parent_process

    parent = parent_process()
    if parent is None:
        return

    def wait() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()

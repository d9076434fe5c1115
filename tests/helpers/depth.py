"""How many examples a property test takes: all in `make test-full`, a third in `make test`."""

from __future__ import annotations

import os


def examples(full: int) -> int:
    """Return `full` where SDCL_NEURO_TESTS is ``full``, else a third of it."""
    return full if os.environ.get("SDCL_NEURO_TESTS") == "full" else max(1, full // 3)

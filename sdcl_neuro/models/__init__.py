"""Models that come with the package, and public ones by address and hash.

``library.MODELS`` is the table; a packaged model is a folder of the same name beside this file,
made by ``bench/small_walkers.py``.
"""

from .library import (
    DEFAULT,
    MODELS,
    ModelRow,
    find_model,
    get,
    model_folder,
    read_card,
    take_checkpoint,
)

__all__ = [
    "DEFAULT",
    "MODELS",
    "ModelRow",
    "find_model",
    "get",
    "model_folder",
    "read_card",
    "take_checkpoint",
]

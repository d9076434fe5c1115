"""A bridge in one safetensors file: its parameters, and its configuration in the header."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ..atomic import atomic_path
from ..errors import InputError
from ..frame_branch.weights import load_weights
from .config import BridgeConfig
from .network import Bridge

_KEY = "sdcl_neuro.bridge"


def save_bridge(bridge: Bridge, path: Path | str) -> None:
    """Write parameters, buffers and configuration."""
    tensors = {n: v.detach().cpu().contiguous() for n, v in bridge.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={_KEY: json.dumps(bridge.config.to_dict())})


def load_bridge(path: Path | str) -> Bridge:
    """Read what `save_bridge` wrote; the bridge comes in evaluation mode, on the CPU.

    Raises:
        InputError: the file is none of those, or what it holds does not fit together.
    """
    mend = "give a file that save_bridge wrote"
    try:
        with safe_open(path, framework="pt") as stream:
            text = (stream.metadata() or {}).get(_KEY)
    except SafetensorError as error:
        raise InputError(f"not a safetensors file ({error})", where=str(path), mend=mend) from None
    if text is None:
        raise InputError(f"no configuration {_KEY!r} in the header", where=str(path), mend=mend)
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"the configuration is not JSON ({error})", where=str(path), mend=mend
        ) from None
    if not isinstance(values, dict):
        raise InputError("the configuration is no object", where=str(path), mend=mend)
    bridge = Bridge(BridgeConfig.from_dict(values))
    load_weights(bridge, path)
    return bridge.eval()

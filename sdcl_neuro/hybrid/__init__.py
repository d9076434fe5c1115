"""Frame branch, bridge and event branch as one network, run on tracklets and on streams.

`infer` runs tracklets, `run_live` a stream; `conversion.load_hybrid` and
`conversion.event_backend` give what both take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdcl_neuro.extras import attach

if TYPE_CHECKING:
    from .bridge import Bridge as Bridge
    from .bridge import BridgeConfig as BridgeConfig
    from .composition import compose as compose
    from .frame_branch import load_weights as load_weights
    from .frame_branch import make_frame_branch as make_frame_branch
    from .frame_branch import normalise as normalise
    from .live import LiveReport as LiveReport
    from .live import LiveSettings as LiveSettings
    from .live import Seen as Seen
    from .live import run_live as run_live
    from .model import Sdcl as Sdcl
    from .model import event_counts as event_counts
    from .model import event_features as event_features
    from .model_table import describe_model as describe_model
    from .runtime import DenseSide as DenseSide
    from .runtime import EventBackend as EventBackend
    from .runtime import EventWorker as EventWorker
    from .runtime import HybridResult as HybridResult
    from .runtime import infer as infer
    from .runtime import merge_records as merge_records
    from .sdcl_checkpoint import ClipFormat as ClipFormat
    from .sdcl_checkpoint import SdclCheckpoint as SdclCheckpoint
    from .sdcl_checkpoint import load_sdcl as load_sdcl
    from .sdcl_checkpoint import save_sdcl as save_sdcl

_PUBLIC = {
    "Bridge": "bridge",
    "BridgeConfig": "bridge",
    "ClipFormat": "sdcl_checkpoint",
    "compose": "composition",
    "DenseSide": "runtime",
    "describe_model": "model_table",
    "event_counts": "model",
    "event_features": "model",
    "EventBackend": "runtime",
    "EventWorker": "runtime",
    "HybridResult": "runtime",
    "infer": "runtime",
    "LiveReport": "live",
    "LiveSettings": "live",
    "load_sdcl": "sdcl_checkpoint",
    "load_weights": "frame_branch",
    "make_frame_branch": "frame_branch",
    "merge_records": "runtime",
    "normalise": "frame_branch",
    "run_live": "live",
    "save_sdcl": "sdcl_checkpoint",
    "Sdcl": "model",
    "SdclCheckpoint": "sdcl_checkpoint",
    "Seen": "live",
}

__all__ = [*_PUBLIC]
__getattr__, __dir__ = attach(__name__, _PUBLIC)

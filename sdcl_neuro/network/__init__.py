"""Networks as plain data: layers, fixed-point arithmetic, spikes, and records of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdcl_neuro.extras import attach

if TYPE_CHECKING:
    from .notes import ASSUMED as ASSUMED
    from .notes import NOT_CHECKED as NOT_CHECKED
    from .notes import Note as Note
    from .notes import notes_of as notes_of
    from .notes import with_notes as with_notes
    from .random_input import RandomInput as RandomInput
    from .record import LayerActivity as LayerActivity
    from .record import Record as Record
    from .spec import Convolution as Convolution
    from .spec import FloatLayer as FloatLayer
    from .spec import FloatNetwork as FloatNetwork
    from .spec import FloatNeuron as FloatNeuron
    from .spec import IntLayer as IntLayer
    from .spec import IntNetwork as IntNetwork
    from .spec import IntNeuron as IntNeuron
    from .spike_file import SpikesLike as SpikesLike
    from .spike_file import read_layers as read_layers
    from .spike_file import read_spikes as read_spikes
    from .spike_file import write_spike_blocks as write_spike_blocks
    from .spike_file import write_spikes as write_spikes

_PUBLIC = {
    "ASSUMED": "notes",
    "Convolution": "spec",
    "FloatLayer": "spec",
    "FloatNetwork": "spec",
    "FloatNeuron": "spec",
    "IntLayer": "spec",
    "IntNetwork": "spec",
    "IntNeuron": "spec",
    "LayerActivity": "record",
    "NOT_CHECKED": "notes",
    "Note": "notes",
    "notes_of": "notes",
    "RandomInput": "random_input",
    "read_layers": "spike_file",
    "read_spikes": "spike_file",
    "Record": "record",
    "SpikesLike": "spike_file",
    "with_notes": "notes",
    "write_spike_blocks": "spike_file",
    "write_spikes": "spike_file",
}

__all__ = [*_PUBLIC]
__getattr__, __dir__ = attach(__name__, _PUBLIC)

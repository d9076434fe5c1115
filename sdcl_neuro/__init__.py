"""Deploy spiking networks to neuromorphic hardware, spike for spike, with proof and costs.

The door; each name is imported on first use::

    load(path)                  a checkpoint folder, .nir or .net, as a model
    conversion.from_snntorch    a torch module, described in float
    conversion.quantize         in the chip's integers
    conversion.to_netx          a file for Loihi (and to_nir, to_onnx, to_c, to_speck, to_verilog)
    run(model, spikes)          spikes of every layer, on any backend: a Record
    verify(model, spikes)       backends compared, spike for spike: a Certificate
    profile(model, spikes)      energy and time on every chip, as intervals: a Profile

A model is a path, a network, a torch module or what `load` returned; spikes are uint8
``[T, B, N]`` or ``[T, B, C, H, W]``, an array, a tensor or a spike file. Errors are `InputError`,
`NetworkRefused`, `CheckFailed` and `EnvironmentFault`, each with what, where and a hint.

    >>> import numpy as np
    >>> from sdcl_neuro import profile, run, verify
    >>> from sdcl_neuro.testing import random_network
    >>> chip = random_network(0)
    >>> spikes = np.ones((8, 1, *chip.input_shape), np.uint8)
    >>> record = run(chip, spikes)
    >>> sorted(record.spikes) == list(range(len(chip.layers)))
    True
    >>> verify(chip, spikes, against=["snntorch-int"], cache=False).holds
    True
    >>> sorted(profile(chip, record=record).targets)
    ['loihi1', 'loihi2']

Rooms below: `events`, `hybrid`, `hardware`, `network`, `snn`, and the laboratory `reid`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from . import _moved
from .extras import attach

if TYPE_CHECKING:
    from sdcl_neuro import conversion as conversion
    from sdcl_neuro import events as events
    from sdcl_neuro import hardware as hardware
    from sdcl_neuro import hybrid as hybrid
    from sdcl_neuro import network as network
    from sdcl_neuro import reid as reid
    from sdcl_neuro import snn as snn
    from sdcl_neuro.conversion.backends.run import run as run
    from sdcl_neuro.conversion.costs import profile as profile
    from sdcl_neuro.conversion.model import Model as Model
    from sdcl_neuro.conversion.model import ModelLike as ModelLike
    from sdcl_neuro.conversion.model_reading import load as load
    from sdcl_neuro.conversion.parity.certificate import Certificate as Certificate
    from sdcl_neuro.conversion.parity.verify import verify as verify
    from sdcl_neuro.network.random_input import RandomInput as RandomInput
    from sdcl_neuro.network.record import Record as Record
    from sdcl_neuro.network.spec import FloatNetwork as FloatNetwork
    from sdcl_neuro.network.spec import IntNetwork as IntNetwork
    from sdcl_neuro.network.spike_file import SpikesLike as SpikesLike
    from sdcl_neuro.profiling.result import Profile as Profile

    from .errors import CheckFailed as CheckFailed
    from .errors import EnvironmentFault as EnvironmentFault
    from .errors import InputError as InputError
    from .errors import NetworkRefused as NetworkRefused
    from .errors import SdclNeuroError as SdclNeuroError
    from .errors import SuspiciousInput as SuspiciousInput

__version__ = "0.1.0"
LOADED_AT = time.time()
"""When this process began to load the package, in seconds since 1970: a source written later may
differ from the code that runs."""

_moved.install()

_PUBLIC = {
    "load": "conversion.model_reading",
    "run": "conversion.backends.run",
    "verify": "conversion.parity.verify",
    "profile": "conversion.costs",
    "conversion": "conversion",
    "Model": "conversion.model",
    "ModelLike": "conversion.model",
    "SpikesLike": "network.spike_file",
    "RandomInput": "network.random_input",
    "FloatNetwork": "network.spec",
    "IntNetwork": "network.spec",
    "Record": "network.record",
    "Certificate": "conversion.parity.certificate",
    "Profile": "profiling.result",
    **{room: room for room in ("events", "hardware", "hybrid", "network", "snn", "reid")},
    "SdclNeuroError": "errors",
    "InputError": "errors",
    "NetworkRefused": "errors",
    "CheckFailed": "errors",
    "EnvironmentFault": "errors",
    "SuspiciousInput": "errors",
}

__all__ = ["__version__", *_PUBLIC]
__getattr__, __dir__ = attach(__name__, _PUBLIC)

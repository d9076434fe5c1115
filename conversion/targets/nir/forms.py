"""Forms of a written NIR graph: one row a library that is to read it, a literal table.

Readers differ as much as writers: in the step they take, in whether they use ``r``, in what they
make of an integrator. Each row was tried with the library (``tests/conversion/nir/test_forms.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sdcl_neuro.errors import InputError, spelled

DEFAULT_STEP_S = 1e-3
"""Norse's step (norse 1.1.0, ``from_nir``), written where nothing says another."""
ASSUMED_STEP = "assumed, since nothing states one"
ENDLESS = 2.0**30
"""Time constant of an integrator written as a LIF, in steps: its decay is 1 in float32."""


@dataclass(frozen=True)
class ReaderForm:
    """How a graph is written for one reader.

    Attributes:
        library: name and version that the row was tried with; None for our own words.
        reader: the function.
        step_s: the step that the reader takes; None if it takes any that it is told.
        fixed: whether it takes no other.
        decay: ``1 - dt / tau`` with tau in seconds, or ``exp(-1 / tau)`` with tau in steps.
        gain: where ``1 / (1 - beta)`` stands, in the weights with r = 1 or in r.
        integrator: IF with r = 1 / dt, IF with r = 1, or a LIF that does not decay.
        single: whether leaky neurons over (C, H, W) take one value for all, not one each.
        refuses: what it cannot be given: ``bias behind a current``, ``recurrence``, ``current``,
            ``beta 0``.
        reads_as: the row of `sources.nir.writers` in whose words the file is; None for NIR's own.
        afterwards: what has to be set after reading, in words.
    """

    library: str | None = None
    reader: str = ""
    step_s: float | None = None
    fixed: bool = False
    decay: Literal["euler", "exponential"] = "euler"
    gain: Literal["weights", "r"] = "weights"
    integrator: Literal["IF 1/dt", "IF 1", "LIF"] = "IF 1/dt"
    single: bool = False
    refuses: tuple[str, ...] = ()
    reads_as: str | None = None
    afterwards: tuple[str, ...] = ()


OWN = ReaderForm()
"""NIR's own words with ``metadata["dt"]``: what `from_nir` reads without an option."""

FORMS: dict[str, ReaderForm] = {
    "snntorch": ReaderForm(
        "snnTorch 1.0.0",
        "snntorch.import_nir.import_from_nir",
        step_s=1e-4,
        fixed=True,
        gain="r",
        integrator="LIF",
        refuses=("bias after a current", "recurrence"),
    ),
    "norse": ReaderForm(
        "Norse 1.1.0",
        "norse.torch.utils.import_nir.from_nir",
        step_s=1e-3,
        refuses=("bias after a current",),
    ),
    "spikingjelly": ReaderForm(
        "SpikingJelly 2.0.0",
        "spikingjelly.activation_based.nir_exchange.import_from_nir",
        step_s=1e-4,
        refuses=("bias after a current", "beta 0"),
    ),
    "sinabs": ReaderForm(
        "Sinabs 3.1.3",
        "sinabs.nir.from_nir",
        decay="exponential",
        gain="r",
        integrator="IF 1",
        single=True,
        refuses=("bias after a current", "recurrence", "current"),
        reads_as="sinabs-unnormed",
        afterwards=(
            "of each spiking layer set spike_fn = SingleSpike, reset_fn = MembraneReset() and "
            "min_v_mem = None",
            "where it holds a convolution before leaky neurons, nir.read needs type_check=False",
        ),
    ),
}
"""By the name that ``--for`` takes. Rockpool subtracts at its reset, so that nothing can be written
that it reads right."""


def form_of(name: str | None) -> ReaderForm:
    """Return the form for a reader; our own for None.

    Raises:
        InputError: there is no form for it.
    """
    if name is None:
        return OWN
    if name not in FORMS:
        what = f"no form of NIR is known that {name!r} reads right"
        where = spelled(python="reader", command="--for")
        raise InputError(what, where=where, hint=f"use one of {', '.join(FORMS)}")
    return FORMS[name]


def step_for(form: ReaderForm, dt: float | None, known: float | None) -> tuple[float, str]:
    """Choose the step that a file is written for, and say why.

    Args:
        form: the reader's.
        dt: the step that was asked for, in seconds.
        known: the step that the network was read with.

    Raises:
        InputError: the reader takes another step only.
    """
    if form.fixed and form.step_s is not None:
        if dt is not None and abs(dt - form.step_s) > 1e-9 * form.step_s:
            what = f"a step of {dt:g} s for {form.library}, which always takes {form.step_s:g} s"
            raise InputError(what, where="dt", hint="leave the step out")
        return form.step_s, f"that of {form.library}"
    if dt is not None:
        return dt, "given"
    if form.step_s is not None:
        return form.step_s, f"the default of {form.library}"
    if known is not None:
        return known, "that of the network"
    return DEFAULT_STEP_S, ASSUMED_STEP

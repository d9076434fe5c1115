"""The tables of writers and readers as Markdown, for docs/nir.md.

Printed by ``python -m sdcl_neuro.conversion.sources.nir.tables``; a test holds the page to them.
"""

from __future__ import annotations

from ...targets.nir.forms import FORMS, ReaderForm
from .writers import WRITERS, Writer

_STEPS = {
    "fixed": "{step:g} s, always",
    "default": "{step:g} s by default, not in the file",
    "none": "none: constants count steps",
    "in r": "in r",
    "unknown": "not stated: give `--dt`",
}
_RESETS = {
    "stored": "as stored",
    "unsaid": "taken as zero; not in the file, by default {default}",
    "subtracts": "always subtracts: `--approximate` only",
}


def writers_table() -> str:
    """Return the table of writers."""
    head = (
        "| `--writer` | library | step | a step keeps | an input counts | reset | fires | proof |"
    )
    return "\n".join([head, "|---" * 8 + "|", *(_writer(n, row) for n, row in WRITERS.items())])


def _writer(name: str, row: Writer) -> str:
    rate = {"seconds": "dt / tau", "steps": "1 / tau", "seconds times the step": "dt^2 / tau"}
    kept = f"1 - {rate[row.tau]}" if row.decay == "euler" else f"exp(-{rate[row.tau]})"
    plain = (row.tau, row.decay) == ("seconds", "euler")
    counts = "whole" if row.gain == "whole" else "r dt / tau" if plain else "what is not kept"
    cells = (
        f"`{name}`",
        row.library,
        _STEPS[row.step].format(step=row.step_s or 0.0),
        kept,
        counts,
        _RESETS[row.reset].format(default=row.default_reset),
        ("at the threshold" if row.inclusive else "above it")
        + (", several a step by default" if row.several else ""),
        {"run": "run in it", "published": "its published files", "definition": "-"}[row.proof],
    )
    return "| " + " | ".join(cells) + " |"


def readers_table() -> str:
    """Return the table of readers."""
    head = "| `--for` | library | step | written as | not written for it | after reading |"
    return "\n".join([head, "|---" * 6 + "|", *(_reader(n, row) for n, row in FORMS.items())])


def _reader(name: str, form: ReaderForm) -> str:
    step = "any" if form.step_s is None else f"{form.step_s:g} s"
    if form.decay == "exponential":
        step, gain = "none: tau counts steps", "tau = -1 / ln beta, weights as they are"
    elif form.gain == "r":
        gain = "r = tau / dt, weights as they are"
    else:
        gain = "r = 1, weights divided by 1 - beta"
    integrators = {"IF 1/dt": "IF, r = 1 / dt", "IF 1": "IF, r = 1", "LIF": "LIF, tau = 2^30 dt"}
    cells = (
        f"`{name}`",
        form.library or "",
        step + (", always" if form.fixed else ""),
        f"{gain}; integrators: {integrators[form.integrator]}",
        ", ".join(form.refuses),
        "; ".join(form.afterwards) or "-",
    )
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    print(writers_table(), readers_table(), sep="\n\n")

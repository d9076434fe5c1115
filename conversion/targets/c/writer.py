"""`to_c`: a network as C99 files, and what they take in memory."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from shutil import which

from sdcl_neuro.engine.check import check_network
from sdcl_neuro.errors import EnvironmentFault, InputError
from sdcl_neuro.files import atomic_path, file_sha256, scratch_folder
from sdcl_neuro.network.arguments import need_integers, need_path, public
from sdcl_neuro.network.spec import IntNetwork
from sdcl_neuro.network.spike_file import SpikesLike

from ..vectors import expected, sample_spikes
from ..written import Written
from .build import compile_c, find_compiler
from .sizes import Sizes, code_bytes, memory
from .source import check_program, header, source

MAX_WEIGHTS = 1 << 24
"""Weights beyond which a C compiler takes minutes over the initialisers."""
CROSS = ("arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb")


@public
def to_c(net: IntNetwork, out: Path | str, *, spikes: SpikesLike | None = None) -> Written:
    """Write ``OUT.c``, ``OUT.h`` and ``OUT_check.c``: all of them, or none.

    Args:
        net: the network, in integers.
        out: ends in ``.c``; its stem is the prefix of the functions.
        spikes: input of the test vectors, uint8 ``[T, B, *input_shape]``, of which the first
            sample is used; None draws 8 random steps.

    Returns:
        The files that were written, SHA-256 and sizes; prints itself.

    Raises:
        InputError: a name that is not a C identifier, or more weights than C can hold as text.

    Examples:
        >>> from sdcl_neuro import conversion
        >>> from sdcl_neuro.testing import random_network, random_spikes
        >>> net = random_network(0)
        >>> written = conversion.to_c(net, "event.c")
        >>> [path.name for path in written.files]
        ['event.c', 'event.h', 'event_check.c']
    """
    net = need_integers(net, "to_c")
    out = need_path(out, "to_c", "name the file, OUT.c", to_write=True)
    check_network(net)
    name = _name(out)
    refuse_size(net)
    vectors, steps = expected(net, sample_spikes(net, spikes))
    texts = {
        out: source(net, name),
        out.with_suffix(".h"): header(net, name),
        out.with_name(f"{name}_check.c"): check_program(net, name, vectors, steps),
    }
    with ExitStack() as stack:
        for path, text in texts.items():
            stack.enter_context(atomic_path(path)).write_text(text, encoding="utf-8")
    sizes = measure(net, out)
    return Written(
        target="c",
        out=out,
        sha256=file_sha256(out),
        files=tuple(texts),
        facts={"prefix": name, "vector_steps": steps, **sizes.to_json()},
        lines=(str(sizes),),
    )


def refuse_size(net: IntNetwork) -> None:
    """Raise InputError where there are more weights than `MAX_WEIGHTS`."""
    total = sum(
        layer.weight.size + (0 if layer.recurrent_weight is None else layer.recurrent_weight.size)
        for layer in net.layers
    )
    if total > MAX_WEIGHTS:
        raise InputError(
            f"{total:,} weights; a C file holds at most {MAX_WEIGHTS:,}",
            where="c",
            hint="use fewer or smaller dense layers",
        )


def measure(net: IntNetwork, path: Path) -> Sizes:
    """Return sizes of a written network; its code is measured where a compiler is at hand."""
    weights, state = memory(net)
    cross = which(CROSS[0])
    try:
        compiler = cross or find_compiler()
        options = ["-Os", "-c", *(CROSS[1:] if cross else ())]
        with scratch_folder("sdcl_neuro_c") as folder:
            compiled = folder / "size.o"
            compile_c([path], compiled, options=options, compiler=compiler)
            code = code_bytes(compiled)
    except EnvironmentFault as error:
        return Sizes(weights, state, None, error.what)
    machine = "cortex-m4, -Os" if cross else "this machine's, -Os"
    return Sizes(weights, state, code, f"{Path(compiler).name}, {machine}")


def _name(out: Path) -> str:
    if out.suffix != ".c":
        raise InputError("not the name of a C file", where=out.name, hint="name it OUT.c")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", out.stem):
        raise InputError(
            f"{out.stem!r} is the prefix of the functions and not a C identifier",
            where=out.name,
            hint="use letters, digits and _, such as event.c",
        )
    return out.stem

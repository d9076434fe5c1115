"""C99: compiled with every warning an error, run, equal in every spike."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from sdcl_neuro import run
from sdcl_neuro.conversion import to_c
from sdcl_neuro.conversion.targets.c import build, writer
from sdcl_neuro.conversion.targets.c.sizes import memory
from sdcl_neuro.engine import run_network
from sdcl_neuro.errors import EnvironmentFault, InputError
from sdcl_neuro.network.spec import Convolution, IntLayer, IntNetwork, IntNeuron
from sdcl_neuro.testing import KINDS, random_network, random_spikes

from .conftest import NETWORKS, random_input

pytestmark = pytest.mark.skipif(
    all(shutil.which(name) is None for name in build.COMPILERS), reason="no C compiler is installed"
)
CASES = [(kind, extreme, 8 * extreme) for kind in KINDS for extreme in (False, True)]
SANITIZERS = ("-O1", "-Wconversion", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def _equal(net: IntNetwork, spikes: np.ndarray) -> int:
    expected, found = run_network(net, spikes), run(net, spikes, backend="c")
    assert found.spikes.keys() == expected.spikes.keys()
    for index, layer in expected.spikes.items():
        assert np.array_equal(layer, found.spikes[index]), net.layers[index].name
    return sum(int(layer.sum()) for layer in expected.spikes.values())


@pytest.mark.parametrize(("kind", "extreme", "bits"), CASES)
def test_random_networks(kind: str, extreme: bool, bits: int) -> None:
    net = random_network(11 + extreme, kind=kind, extreme=extreme, message_bits=bits, layers=3)
    _equal(net, random_spikes(net, 0, steps=12, samples=3))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200, 230))
def test_more_random_networks(seed: int) -> None:
    for kind in KINDS:
        bits = (0, 3, 8)[seed % 3]
        net = random_network(seed, kind=kind, extreme=seed % 2 == 0, message_bits=bits)
        _equal(net, random_spikes(net, seed, steps=20, samples=3))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_named_networks(networks: dict[str, IntNetwork], name: str) -> None:
    net = networks[name]
    assert _equal(net, random_input(net)) > 100


def test_all_features_at_once(everything: IntNetwork) -> None:
    assert _equal(everything, random_input(everything, steps=16)) > 100


def test_a_convolution_whose_sum_wraps() -> None:
    """24 bits: two large weights leave them, as in Lava's convolution."""
    weight = np.full((1, 2, 1, 1), 5_000_000, np.int32)
    layer = IntLayer(
        "wide", "conv", weight, IntNeuron(4096, 100, 1), (2, 1, 1), (1, 1, 1), None, Convolution()
    )
    net = IntNetwork((2, 1, 1), (layer,))
    spikes = np.array([[1, 0], [1, 1], [0, 1], [1, 1]], np.uint8).reshape(4, 1, 2, 1, 1)
    _equal(net, spikes)


@pytest.mark.parametrize("extreme", [False, True])
def test_sanitizers_find_nothing(everything: IntNetwork, tmp_path: Path, extreme: bool) -> None:
    net = random_network(21, extreme=True, message_bits=8, layers=3) if extreme else everything
    to_c(net, tmp_path / "event.c", spikes=random_spikes(net, 0, steps=12, samples=1))
    files = [tmp_path / "event.c", tmp_path / "event_check.c"]
    try:
        build.compile_c(files, tmp_path / "check", options=SANITIZERS)
    except EnvironmentFault as error:
        pytest.skip(f"no sanitizers: {error}")
    done = subprocess.run([tmp_path / "check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "event: 0 of " in done.stdout


@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_each_compiler_takes_it(everything: IntNetwork, tmp_path: Path, name: str) -> None:
    compiler = shutil.which(name)
    if compiler is None:
        pytest.skip(f"{name} is not installed")
    to_c(everything, tmp_path / "event.c")
    for options in (["-O3"], ["-Os", "-Wconversion", "-Wshadow"]):
        files = [tmp_path / "event.c", tmp_path / "event_check.c"]
        build.compile_c(files, tmp_path / "check", options=options, compiler=compiler)
        subprocess.run([tmp_path / "check"], capture_output=True, check=True)


def test_the_check_finds_one_wrong_weight(networks: dict[str, IntNetwork], tmp_path: Path) -> None:
    to_c(networks["compact"], tmp_path / "event.c")
    text = (tmp_path / "event.c").read_text()
    start = text.index("weight_1[")
    wrong = re.sub(r"\n    (-?\d+), (-?\d+), ", r"\n    \2, 127, ", text[start:], count=1)
    (tmp_path / "event.c").write_text(text[:start] + wrong)
    files = [tmp_path / "event.c", tmp_path / "event_check.c"]
    build.compile_c(files, tmp_path / "check")
    done = subprocess.run([tmp_path / "check"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.search(r"step \d, layer 1: \d+ of \d+ neurons differ", done.stdout)
    assert "layer 0" not in done.stdout


@pytest.mark.skipif(shutil.which("nm") is None, reason="nm (binutils) is not installed")
@pytest.mark.parametrize("counts", [0, 8])
def test_it_needs_nothing_and_its_sizes_are_those_said(
    everything: IntNetwork, tmp_path: Path, counts: int
) -> None:
    net = random_network(31, message_bits=counts, layers=3) if counts else everything
    written = to_c(net, tmp_path / "event.c")
    build.compile_c([tmp_path / "event.c"], tmp_path / "event.o", options=["-O0", "-c"])
    listed = subprocess.run(
        ["nm", "--print-size", tmp_path / "event.o"], capture_output=True, text=True, check=True
    ).stdout
    assert not re.findall(r" U (?!memset|memcpy)(\w+)", listed)
    sizes = {
        kind: sum(int(s, 16) for s, k in re.findall(r"^\w+ (\w+) (\w) ", listed, re.M) if k == kind)
        for kind in "bBdDrRT"
    }
    weights, state = memory(net)
    assert sizes["b"] + sizes["B"] + sizes["D"] == state
    assert sizes["r"] + sizes["R"] == weights
    assert written.facts["state_bytes"] == state
    assert 100 < written.facts["code_bytes"] < 20_000
    code = re.sub(r"/\*.*?\*/", "", (tmp_path / "event.c").read_text(), flags=re.S)
    assert not re.search(r"float|double|\w*alloc\b|\bfree\b", code)


def test_a_sample_starts_clean_and_stray_bits_are_ignored(tmp_path: Path) -> None:
    net = random_network(2, kind="dense", layers=1)
    ones = np.ones((3, 1, *net.input_shape), np.uint8)
    twice = run(net, np.concatenate([ones, ones], axis=1), backend="c").spikes[0]
    assert np.array_equal(twice[:, 0], twice[:, 1])
    if np.prod(net.input_shape) % 32:
        text = (to_c(net, tmp_path / "event.c").out).read_text()
        assert re.search(r"bits &= word \+ 1u == \d+u \? 0x[0-9a-f]+u", text)


@pytest.mark.parametrize("name", ["1.c", "my-net.c", "event.cpp", "_x y.c"])
def test_a_name_that_is_no_prefix_is_refused(
    everything: IntNetwork, tmp_path: Path, name: str
) -> None:
    with pytest.raises(InputError, match=r"identifier|name it OUT\.c"):
        to_c(everything, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_without_a_compiler_one_line_says_so(
    everything: IntNetwork, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(EnvironmentFault, match=r"\$CC is 'no-such-compiler'.*install gcc"):
        run(everything, random_input(everything), backend="c")
    facts = to_c(everything, tmp_path / "event.c").facts  # writing needs none
    assert facts["code_bytes"] is None
    assert "no-such-compiler" in facts["code_from"]


def test_a_warning_stops_the_build_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.c").write_text("static int unused(void) { return 1; }\n")
    with pytest.raises(EnvironmentFault, match="unused"):
        build.compile_c([tmp_path / "x.c"], tmp_path / "x.o", options=["-c"])


def test_too_many_weights_are_refused(
    everything: IntNetwork, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(writer, "MAX_WEIGHTS", 100)
    for refused in (
        lambda: run(everything, random_input(everything), backend="c"),
        lambda: to_c(everything, tmp_path / "event.c"),
    ):
        with pytest.raises(InputError, match=r"c: [\d,]+ weights; a C file holds at most 100"):
            refused()
    assert list(tmp_path.iterdir()) == []

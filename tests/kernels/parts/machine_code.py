"""The kernels as machine code for GPUs that need not be there: Triton brings its own assembler."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
import triton
from snntorch import surrogate
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from sdcl_neuro import gpu_kernels
from sdcl_neuro.engine import dense_kernels, run_network
from sdcl_neuro.network.spec import IntLayer, IntNetwork, IntNeuron
from sdcl_neuro.snn.bptt import scan_kernels
from sdcl_neuro.snn.loihi_leaky import LoihiLeaky
from sdcl_neuro.testing import KINDS, random_network, random_spikes

TYPES = {
    torch.float32: "*fp32",
    torch.float64: "*fp64",
    torch.int64: "*i64",
    torch.int32: "*i32",
    torch.uint8: "*u8",
}
TOOLS = Path(triton.__file__).parent / "backends/nvidia/bin"
ROUNDS_OTHERWISE = re.compile(r"\b(fma|mad)\.(rn\.)?f|\.ftz|div\.(full|approx)")
"""Instructions of PTX that do not round as a processor does."""


class Compiled:
    """In place of `launch`: compiles what would be launched, each variant once."""

    def __init__(self, capability: int) -> None:
        self.target = GPUTarget("cuda", capability, 32)
        self.found: dict[object, tuple[str, bytes]] = {}

    def __call__(self, kernel, programs, *arguments, warps=4, **constants):
        assert programs > 0
        signature = dict(zip(kernel.arg_names, map(self._kind, arguments), strict=False))
        signature |= dict.fromkeys(constants, "constexpr")
        assert list(signature) == kernel.arg_names
        key = (kernel.__name__, *signature.items(), *constants.items())
        if key not in self.found:
            source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
            options = {"num_warps": warps, **gpu_kernels.OPTIONS}
            made = triton.compile(source, target=self.target, options=options)
            self.found[key] = (made.asm["ptx"], made.asm["cubin"])

    @staticmethod
    def _kind(value):
        if isinstance(value, torch.Tensor):
            return TYPES[value.dtype]
        return "fp32" if isinstance(value, float) else "i32"


@pytest.fixture(params=[75, 80, 90], ids="sm_{}".format)
def compiled(request, monkeypatch, tmp_path):
    made = Compiled(request.param)
    for module in (dense_kernels, scan_kernels):
        monkeypatch.setattr(module, "launch", made)
    monkeypatch.setattr(gpu_kernels, "interpreted", lambda: True)
    yield made
    assert not gpu_kernels._refused
    most = 0
    for key, (_, code) in made.found.items():
        (tmp_path / "code.cubin").write_bytes(code)
        told = subprocess.check_output(
            [TOOLS / "cuobjdump", "-res-usage", tmp_path / "code.cubin"], text=True
        )
        used = {name: int(value) for name, value in re.findall(r"(\w+):(\d+)", told)}
        most = max(most, used["REG"])
        # Registers that do not suffice would go to memory.
        assert (used["STACK"], used["LOCAL"]) == (0, 0), key
    print(f"sm_{made.target.arch}: {len(made.found)} variants, at most {most} registers a thread")


def test_neurons_and_counts(compiled, monkeypatch):
    for most in (512, 0):
        monkeypatch.setattr(dense_kernels, "RECURRENT_MOST", most)
        for seed, kind in enumerate(KINDS):
            for factor in (1, 1 << 15):
                net = random_network(seed, kind=kind, layers=1)
                net.layers[0].weight[...] *= factor
                spikes = random_spikes(net, seed, steps=3)
                run_network(net, spikes, path="reference")
    monkeypatch.setattr(dense_kernels, "RECURRENT_MOST", 512)
    for neurons in (100, 512):
        weight, recurrent = np.ones((neurons, 6), np.int32), np.ones((neurons, neurons), np.int32)
        layer = IntLayer(
            "large", "dense_rec", weight, IntNeuron(900, 30, 9), (6,), (neurons,),
            recurrent_weight=recurrent,
        )  # fmt: skip
        net = IntNetwork((6,), (layer,))
        run_network(net, random_spikes(net, 0, steps=3), path="reference")
    assert {key[0] for key in compiled.found} == {"_neurons", "_inputs"}
    assert len(compiled.found) >= 6
    for key, (code, _) in compiled.found.items():
        if ("OWN", True) in key:  # spikes of other threads are read behind a barrier
            barriers = [found.start() for found in re.finditer(r"\bbar(rier)?\.sync", code)]
            reads = [found.start() for found in re.finditer(r"\bld\.volatile", code)]
            assert reads
            assert barriers[0] < reads[0]
            assert barriers[-1] > reads[-1]


@pytest.mark.parametrize(
    ("mode", "dtype"),
    [("float", torch.float32), ("float", torch.float64), ("int", torch.float32)],
)
def test_scans_round_as_a_processor_does(compiled, mode, dtype):
    steps = (surrogate.atan(), surrogate.fast_sigmoid(), surrogate.straight_through_estimator())
    for spike_grad in steps:
        for learns in (True, False):
            neuron = LoihiLeaky(
                0.9, 8.0, mode=mode, scale=1.0, spike_grad=spike_grad, learn_beta=learns
            )
            sums = torch.zeros(5, 2, 60, dtype=dtype, requires_grad=True)
            bias = torch.zeros(60, dtype=dtype) if learns else None
            neuron.sequence(sums, bias).sum().backward()
    assert len(compiled.found) >= 7
    for key, (code, _) in compiled.found.items():
        assert not ROUNDS_OTHERWISE.search(code), key

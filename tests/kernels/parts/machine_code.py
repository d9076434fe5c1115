"""The kernels as machine code for GPUs that need not be there: Triton brings its own assembler."""

from __future__ import annotations

import re

import pytest
import torch
import triton
from snntorch import surrogate
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from sdcl_neuro import gpu_kernels
from sdcl_neuro.engine import dense_kernels, run_network
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
ROUNDS_OTHERWISE = re.compile(r"\b(fma|mad)\.(rn\.)?f|\.ftz|div\.(full|approx)")
"""Instructions of PTX that do not round as a processor does."""


class Compiled:
    """In place of `launch`: compiles what would be launched, each variant once."""

    def __init__(self, capability: int) -> None:
        self.target = GPUTarget("cuda", capability, 32)
        self.found: dict[object, tuple[str, int]] = {}

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
            self.found[key] = (made.asm["ptx"], len(made.asm["cubin"]))

    @staticmethod
    def _kind(value):
        if isinstance(value, torch.Tensor):
            return TYPES[value.dtype]
        return "fp32" if isinstance(value, float) else "i32"


@pytest.fixture(params=[75, 80, 90], ids="sm_{}".format)
def compiled(request, monkeypatch):
    made = Compiled(request.param)
    for module in (dense_kernels, scan_kernels):
        monkeypatch.setattr(module, "launch", made)
    monkeypatch.setattr(gpu_kernels, "interpreted", lambda: True)
    yield made
    assert not gpu_kernels._refused
    assert all(size > 1000 for _, size in made.found.values())
    print(f"{made.target.arch}: {len(made.found)} variants, {[key[0] for key in made.found]}")


def test_neurons_and_counts(compiled, monkeypatch):
    for most in (512, 0):
        monkeypatch.setattr(dense_kernels, "RECURRENT_MOST", most)
        for seed, kind in enumerate(KINDS):
            for factor in (1, 1 << 15):
                net = random_network(seed, kind=kind, layers=1)
                net.layers[0].weight[...] *= factor
                spikes = random_spikes(net, seed, steps=3)
                run_network(net, spikes, path="reference")
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

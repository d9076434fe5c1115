"""Random NIR graphs: every primitive a chain may hold, in every geometry, some of them refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import nir
import numpy as np

FAULTS = ("unsupported", "skip", "varying", "short", "not-a-number", "within", "reset")


@dataclass
class Draft:
    """A graph that grows, and what its next node reads."""

    rng: np.random.Generator
    dt: float
    shape: tuple[int, ...]
    nodes: dict[str, object] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    last: str = "input"

    def add(self, name: str, node: object) -> None:
        self.nodes[name] = node
        self.edges.append((self.last, name))
        self.last = name

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def pick(self, *values: object) -> object:
        return values[int(self.rng.integers(len(values)))]


def random_graph(seed: int, *, faults: bool = True) -> tuple[nir.NIRGraph, float, np.ndarray]:
    """A graph, the step it is for, and spikes ``[T, B, *input_shape]`` that drive it."""
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 4)), *(int(n) for n in rng.integers(5, 9, 2)))
    if rng.random() < 0.4:
        shape = (int(rng.integers(2, 12)),)
    draft = Draft(rng, float(10 ** rng.uniform(-5, 0)), shape)
    draft.nodes["input"] = nir.Input(np.array(shape))
    fault = str(rng.choice(FAULTS)) if faults and rng.random() < 0.2 else ""
    count = int(rng.integers(1, 4))
    place = int(rng.integers(count))
    for index in range(count):
        _layer(draft, index, fault if index == place else "")
    if fault == "unsupported" and draft.chance(0.5):
        draft.add("late", nir.LI(*(np.ones(draft.shape, np.float32) for _ in range(3))))
    draft.add("output", nir.Output(np.array(draft.shape)))
    if fault == "skip":
        names = list(draft.nodes)
        draft.edges.append((names[0], names[-2]))
    graph = nir.NIRGraph(draft.nodes, draft.edges, metadata={}, type_check=False)
    spikes = (rng.random((14, 2, *shape)) < 0.35).astype(np.uint8)
    return graph, draft.dt, spikes


def _layer(draft: Draft, index: int, fault: str) -> None:
    if fault == "unsupported" and draft.chance(0.5):
        draft.add(f"odd_{index}", nir.Threshold(np.ones(draft.shape, np.float32)))
    rng, dense = draft.rng, len(draft.shape) == 1 or min(draft.shape[1:]) < 4
    if not dense and draft.chance(0.3):
        _pool(draft, index)
        dense = min(draft.shape[1:]) < 4
    if dense or draft.chance(0.4):
        if len(draft.shape) > 1:
            draft.add(f"flatten_{index}", nir.Flatten(np.array(draft.shape), 0, -1))
        inputs = int(np.prod(draft.shape))
        draft.shape = (int(rng.integers(1, 9)),)
        weight = rng.normal(0.3, 1, (draft.shape[0], inputs)) / np.sqrt(inputs)
    else:
        weight, draft.shape = _convolution(draft)
    if fault == "not-a-number":
        weight[(0,) * weight.ndim] = np.nan
    _synapse_and_neurons(draft, index, weight, fault)


def _pool(draft: Draft, index: int) -> None:
    size = draft.rng.integers(1, 4, 2)
    stride, pad = draft.rng.integers(1, 4, 2), np.minimum(size // 2, draft.rng.integers(0, 2, 2))
    kind = draft.pick(nir.SumPool2d, nir.AvgPool2d)
    draft.add(f"pool_{index}", kind(kernel_size=size, stride=stride, padding=pad))
    rows, columns = (np.array(draft.shape[1:]) + 2 * pad - size) // stride + 1
    draft.shape = (draft.shape[0], int(rows), int(columns))


def _convolution(draft: Draft) -> tuple[np.ndarray, tuple[int, ...]]:
    """A kernel, whose geometry waits in ``draft.geometry``, and the shape behind it."""
    rng, channels = draft.rng, draft.shape[0]
    groups = int(rng.choice([g for g in (1, 2, 3) if channels % g == 0]))
    outputs = groups * int(rng.integers(1, 4))
    kernel = rng.integers(1, 5, 2)
    size = np.array(draft.shape[1:])
    dilation = rng.integers(1, 3, 2)
    padding = str(draft.pick("same", "valid", "numbers"))
    pads = rng.integers(0, 3, 2)
    stride = np.ones(2, int) if padding == "same" else rng.integers(1, 3, 2)
    pads = np.zeros(2, int) if padding == "valid" else pads
    span = dilation * (kernel - 1) + 1
    dilation = np.where(span > size + 2 * (pads if padding == "numbers" else 0), 1, dilation)
    after = (size + 2 * pads - dilation * (kernel - 1) - 1) // stride + 1
    after = size if padding == "same" else np.maximum(after, 1)
    draft.geometry = {  # type: ignore[attr-defined]
        "input_shape": tuple(int(n) for n in size),
        "stride": tuple(int(n) for n in stride),
        "padding": tuple(int(n) for n in pads) if padding == "numbers" else padding,
        "dilation": tuple(int(n) for n in dilation),
        "groups": groups,
    }
    weight = rng.normal(0.3, 1, (outputs, channels // groups, *kernel))
    weight /= np.sqrt(weight[0].size)
    return weight, (outputs, int(after[0]), int(after[1]))


def _synapse_and_neurons(draft: Draft, index: int, weight: np.ndarray, fault: str) -> None:
    neurons, gain, biased = _population(draft, fault)
    weight = (weight / gain).astype(np.float32)
    bias = (draft.rng.normal(0, 0.1, len(weight)) / gain).astype(np.float32)
    if not biased:
        bias[:] = 0
    if weight.ndim == 4:
        node: object = nir.Conv2d(weight=weight, bias=bias, **draft.geometry)  # type: ignore[attr-defined]
    elif biased or draft.chance(0.5):
        node = nir.Affine(weight, bias)
    else:
        node = nir.Linear(weight)
    draft.add(f"synapse_{index}", node)
    name = f"neurons_{index}"
    back = None
    if weight.ndim == 2 and draft.chance(0.35):
        loop = draft.rng.normal(0, 0.5, (len(weight),) * 2) / np.sqrt(len(weight)) / gain
        back = nir.Linear(loop.astype(np.float32))
    if back is not None and draft.chance(0.5):
        draft.add(name, _subgraph(neurons, back, draft.shape))
        return
    draft.add(name, neurons)
    if back is not None:
        draft.nodes[f"back_{index}"] = back
        draft.edges += [(name, f"back_{index}"), (f"back_{index}", name)]


def _subgraph(neurons: object, back: object, shape: tuple[int, ...]) -> nir.NIRGraph:
    """A recurrent population as snnTorch writes it."""
    nodes = {
        "input": nir.Input(np.array(shape)),
        "lif": neurons,
        "output": nir.Output(np.array(shape)),
        "w_rec": back,
    }
    edges = [*pairwise(["input", "lif", "output"]), ("lif", "w_rec"), ("w_rec", "lif")]
    return nir.NIRGraph(nodes, edges, metadata={}, type_check=False)


def _population(draft: Draft, fault: str) -> tuple[object, float, bool]:
    """Neurons, what an input counts for them, and whether a bias may stand before them."""
    rng, dt = draft.rng, draft.dt
    kind = str(draft.pick("LIF", "LIF", "IF", "CubaLIF"))
    if fault in ("varying", "short") and kind == "IF":
        kind = "LIF"
    form = draft.pick((1,), draft.shape)
    tau = dt * float(10 ** rng.uniform(0, 3)) if draft.chance(0.9) else dt
    r = float(draft.pick(1.0, tau / dt, float(rng.uniform(0.2, 5))))
    if kind == "LIF" and draft.chance(0.1):
        tau, r = np.inf, np.inf
    if fault == "short":
        tau = dt / 3

    def each(value: object, shape: tuple[int, ...] = form) -> np.ndarray:
        return np.broadcast_to(np.asarray(value, np.float32), shape).copy()

    rows = (-1, *[1] * (len(draft.shape) - 1))
    threshold = each(rng.uniform(0.3, 1.5))
    if draft.chance(0.3):
        threshold = each(rng.uniform(0.3, 1.5, draft.shape[0]).reshape(rows), draft.shape)
    if fault == "within" and len(draft.shape) > 1:
        threshold = each(rng.uniform(0.3, 1.5, draft.shape), draft.shape)
    reset = leak = 0.0
    if draft.chance(0.3):
        leak = float(rng.uniform(-0.4, 0.4))
        reset = leak if kind != "IF" and draft.chance(0.5) else 0.0
    if fault == "reset":
        leak, reset = 0.0, -0.2
    scale = float(threshold.mean()) - reset
    common = {"v_threshold": threshold, "v_reset": each(reset, threshold.shape)}
    if kind == "IF":
        r = float(draft.pick(1.0, 1 / dt, float(rng.uniform(0.2, 5))))
        whole = 1.0 if r == 1 else r * dt
        return nir.IF(r=each(r, threshold.shape), **common), whole / scale, True
    constants = {"r": each(r, threshold.shape), "v_leak": each(leak, threshold.shape)}
    taus = each(tau, threshold.shape)
    if fault == "varying":
        taus = each(tau * rng.uniform(1, 2, draft.shape), draft.shape)
        constants = {
            key: each(value.reshape(-1)[0], draft.shape) for key, value in constants.items()
        }
        common = {key: each(value.reshape(-1)[0], draft.shape) for key, value in common.items()}
    gain = 1.0 if np.isinf(tau) else min(1.0, dt / tau) * r
    if kind == "LIF":
        return nir.LIF(tau=taus, **constants, **common), gain / scale, True
    alpha = float(rng.choice([0.0, rng.uniform(0, 0.95)]))
    syn, w_in = dt / (1 - alpha), float(draft.pick(1.0, 1 / (1 - alpha)))
    node = nir.CubaLIF(
        tau_syn=each(syn, taus.shape),
        tau_mem=taus,
        w_in=each(w_in, taus.shape),
        **constants,
        **common,
    )
    return node, gain * w_in * (1 - alpha) / scale, alpha == 0

"""NIR graphs by hand, for the golden file of outcomes.

Each primitive alone, chained, in a cycle, as a subgraph, fanning in and out, and every constant
that a population may have.

Those of the libraries' own neurons are in `test_writers`. The golden file is written by::

    python tests/conversion/nir/test_golden.py --write
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import nir
import numpy as np

DT = 1e-3


@dataclass
class Case:
    """A graph and the options it is read with."""

    graph: nir.NIRGraph
    options: dict[str, Any] = field(default_factory=lambda: {"dt": DT})
    shape: tuple[int, ...] = (6,)


def each(shape, value):
    return np.broadcast_to(np.asarray(value, np.float32), shape).copy()


def lif(shape=(5,), *, tau=4e-3, r=4.0, leak=0.0, threshold=1.0, reset=0.0):
    return nir.LIF(*(each(shape, v) for v in (tau, r, leak, threshold, reset)))


def integrator(shape=(5,), *, r=1.0, threshold=1.0, reset=0.0):
    return nir.IF(*(each(shape, v) for v in (r, threshold, reset)))


def cuba(shape=(5,), *, tau_syn=2e-3, tau_mem=4e-3, r=4.0, leak=0.0, w_in=2.0, reset=0.0):
    named = {"tau_syn": tau_syn, "tau_mem": tau_mem, "r": r, "v_leak": leak}
    named |= {"v_threshold": 1.0, "v_reset": reset, "w_in": w_in}
    return nir.CubaLIF(**{key: each(shape, value) for key, value in named.items()})


def weights(outputs=5, inputs=6, seed=0):
    return np.random.default_rng(seed).normal(0.2, 0.6, (outputs, inputs)).astype(np.float32)


def linear(outputs=5, inputs=6, seed=0):
    return nir.Linear(weights(outputs, inputs, seed))


def affine(outputs=5, inputs=6, *, bias=0.1, seed=0):
    return nir.Affine(weights(outputs, inputs, seed), each((outputs,), bias))


def conv(channels=2, size=(6, 5), *, kernel=(3, 3), outputs=3, seed=1, **options):
    named = {"stride": 1, "padding": 1, "dilation": 1, "groups": 1, **options}
    draw = np.random.default_rng(seed).normal(
        0.15, 0.5, (outputs, channels // named["groups"], *kernel)
    )
    return nir.Conv2d(size, draw.astype(np.float32), bias=each((outputs,), 0.05), **named)


def pool(kind=nir.SumPool2d, size=2, stride=2, padding=0):
    pairs = (np.array([n, n]) for n in (size, stride, padding))
    return kind(*pairs)


def flatten(*shape):
    return nir.Flatten(np.array(shape), 0, -1)


def chain(*nodes, first=(6,), last=(5,), more=(), metadata=None):
    named = {"input": nir.Input(np.array(first))}
    named |= {f"n{index}": node for index, node in enumerate(nodes)}
    named["output"] = nir.Output(np.array(last))
    edges = list(pairwise(named))
    for name, node, links in more:
        named[name] = node
        edges += links
    return nir.NIRGraph(named, edges, metadata=metadata or {}, type_check=False)


def image(*nodes, last=(3, 6, 5), **options):
    return Case(chain(*nodes, first=(2, 6, 5), last=last), shape=(2, 6, 5), **options)


def loop(node, neurons=None, **options):
    made = chain(affine(), lif() if neurons is None else neurons, **options)
    made.nodes["back"] = node
    made.edges += [("n1", "back"), ("back", "n1")]
    return Case(made)


def graph_of(nodes, edges):
    return nir.NIRGraph(nodes, edges, metadata={}, type_check=False)


def recurrent(neurons, back=None):
    """A population with its own synapse as a subgraph, as snnTorch writes it."""
    nodes = {
        "input": nir.Input(np.array([5])),
        "lif": neurons,
        "w_rec": linear(5, 5, 3) if back is None else back,
        "output": nir.Output(np.array([5])),
    }
    return graph_of(
        nodes, [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")]
    )


def inner(*nodes, first=(6,), last=(5,)):
    return chain(*nodes, first=first, last=last)


def _alone():
    values = each((6,), 1.0)
    image_like = {"first": (2, 6, 5)}
    nodes = {
        "nothing": (),
        "Linear": (linear(),),
        "Affine": (affine(),),
        "Scale": (nir.Scale(values),),
        "Delay": (nir.Delay(values),),
        "Threshold": (nir.Threshold(values),),
        "I": (nir.I(values),),
        "LI": (nir.LI(4e-3 * values, values, 0 * values),),
        "CubaLI": (nir.CubaLI(2e-3 * values, 4e-3 * values, values, 0 * values),),
        "IF": (integrator((6,)),),
        "LIF": (lif((6,)),),
        "CubaLIF": (cuba((6,)),),
    }
    found = {f"alone: {name}": Case(chain(*each)) for name, each in nodes.items()}
    flat = {"Conv1d": nir.Conv1d(6, np.ones((1, 1, 3), np.float32), 1, 0, 1, 1, np.zeros(1))}
    found |= {f"alone: {name}": Case(chain(node)) for name, node in flat.items()}
    images = {
        "Conv2d": conv(),
        "SumPool2d": pool(),
        "AvgPool2d": pool(nir.AvgPool2d),
        "Flatten": flatten(2, 6, 5),
    }
    return found | {
        f"alone: {name}": Case(chain(node, **image_like), shape=(2, 6, 5))
        for name, node in images.items()
    }


def _chained():
    found = {}
    for name, neurons in (("LIF", lif), ("IF", integrator), ("CubaLIF", cuba)):
        found[f"Linear, {name}"] = Case(chain(linear(), neurons()))
        found[f"Affine with bias, {name}"] = Case(chain(affine(), neurons()))
        found[f"Affine without bias, {name}"] = Case(chain(affine(bias=0.0), neurons()))
        found[f"Conv2d, {name}"] = image(conv(), neurons((3, 6, 5)))
        found[f"two layers of {name}"] = Case(
            chain(linear(), neurons(), linear(5, 5, 2), neurons())
        )
    found["Conv2d, LIF, Flatten, Affine, LIF"] = image(
        conv(), lif((3, 6, 5)), flatten(3, 6, 5), affine(5, 90), lif(), last=(5,)
    )
    found["Flatten, Linear, LIF"] = image(flatten(2, 6, 5), linear(5, 60), lif(), last=(5,))
    found["Linear on an image, without Flatten"] = image(linear(5, 60), lif(), last=(5,))
    found["Linear, Linear, LIF"] = Case(chain(linear(), linear(5, 5), lif()))
    found["LIF, LIF"] = Case(chain(linear(), lif(), lif()))
    found["Linear, Scale, LIF"] = Case(chain(linear(), nir.Scale(each((5,), 2.0)), lif()))
    found["Linear, LIF, LI"] = Case(chain(linear(), lif(), linear(5, 5), nir.LI(
        each((5,), 4e-3), each((5,), 1.0), each((5,), 0.0))))  # fmt: skip
    return found


def _geometry():
    found = {
        "stride 2": image(conv(stride=2), lif((3, 3, 3)), last=(3, 3, 3)),
        "padding 0": image(conv(padding=0), lif((3, 4, 3)), last=(3, 4, 3)),
        "padding (0, 2)": image(conv(padding=(0, 2)), lif((3, 4, 7)), last=(3, 4, 7)),
        "padding 'valid'": image(conv(padding="valid"), lif((3, 4, 3)), last=(3, 4, 3)),
        "padding 'same'": image(conv(padding="same"), lif((3, 6, 5))),
        "padding 'same', even kernel": image(conv(padding="same", kernel=(2, 4)), lif((3, 6, 5))),
        "padding 'same', even and dilated": image(
            conv(padding="same", kernel=(2, 2), dilation=(3, 1)), lif((3, 6, 5))
        ),
        "padding 'same', stride 2": image(
            conv(padding="same", stride=2), lif((3, 3, 3)), last=(3, 3, 3)
        ),
        "dilation 2": image(conv(dilation=2, padding=2), lif((3, 6, 5))),
        "groups": image(conv(groups=2, outputs=4), lif((4, 6, 5)), last=(4, 6, 5)),
        "a kernel that is not square": image(conv(kernel=(1, 3), padding=(0, 1)), lif((3, 6, 5))),
        "a kernel larger than its input": image(conv(kernel=(9, 9), padding=0), lif((3, 1, 1))),
        "channels that do not match": image(conv(channels=4), lif((3, 6, 5))),
    }
    pooled = {
        "SumPool2d before Conv2d": (pool(), conv(size=(3, 2)), lif((3, 3, 2)), (3, 3, 2)),
        "AvgPool2d before Conv2d": (
            pool(nir.AvgPool2d),
            conv(size=(3, 2)),
            lif((3, 3, 2)),
            (3, 3, 2),
        ),
        "overlapping SumPool2d": (
            pool(nir.SumPool2d, 3, 1),
            conv(size=(4, 3), padding=0),
            lif((3, 2, 1)),
            (3, 2, 1),
        ),
        "padded AvgPool2d": (
            pool(nir.AvgPool2d, 3, 2, 1),
            conv(size=(3, 3), padding=0),
            lif((3, 1, 1)),
            (3, 1, 1),
        ),
    }
    for name, (*nodes, last) in pooled.items():
        found[name] = image(*nodes, last=last)
    found["two pools in a row"] = image(
        pool(nir.SumPool2d, 2, 1), pool(nir.AvgPool2d, 2, 2), conv(size=(2, 2)), lif((3, 2, 2)),
        last=(3, 2, 2),
    )  # fmt: skip
    found["a pool before a Linear"] = image(
        pool(), flatten(2, 3, 2), linear(5, 12), lif(), last=(5,)
    )
    found["a pool between Conv2d and LIF"] = image(conv(), pool(), lif((3, 3, 2)), last=(3, 3, 2))
    found["a pool at the end"] = image(conv(), lif((3, 6, 5)), pool(), last=(3, 3, 2))
    found["a window larger than its input"] = image(
        pool(nir.SumPool2d, 9, 1), conv(), lif((3, 6, 5))
    )
    return found


def _constants():
    rows, places = np.linspace(0.6, 1.4, 5), np.linspace(0.6, 1.4, 30).reshape(6, 5)
    channels = np.array([0.6, 1.0, 1.2]).reshape(3, 1, 1)
    neurons = {
        "thresholds that differ": lif(threshold=rows),
        "one constant for all": lif((1,)),
        "constants without an axis": lif(()),
        "time constants that differ": lif(tau=4e-3 * rows),
        "tau of a step": lif(tau=DT, r=1.0),
        "tau shorter than a step": lif(tau=DT / 3),
        "tau and r infinite": lif(tau=np.inf, r=np.inf),
        "tau infinite, r finite": lif(tau=np.inf, r=1.0),
        "r infinite": lif(r=np.inf),
        "r negative": lif(r=-1.0),
        "r zero": lif(r=0.0),
        "r = 1": lif(r=1.0, threshold=0.25),
        "v_leak": lif(leak=0.3),
        "v_leak that differs": lif(leak=rows - 1),
        "v_leak = v_reset": lif(leak=-0.3, reset=-0.3),
        "v_reset alone": lif(reset=-0.3),
        "v_reset of an integrator": integrator(reset=0.2),
        "a threshold below v_reset": lif(threshold=-0.5),
        "a threshold of zero": lif(threshold=0.0),
        "not-a-number": lif(threshold=np.nan),
        "constants of another shape": lif((4,)),
        "v_leak of a current": cuba(leak=0.2),
        "v_leak = v_reset of a current": cuba(leak=0.2, reset=0.2),
        "a current without decay": cuba(tau_syn=np.inf),
        "a current of one step": cuba(tau_syn=DT, w_in=1.0),
        "an integrator after a current": cuba(tau_mem=np.inf, r=np.inf),
        "w_in = 1": cuba(w_in=1.0),
    }
    found = {name: Case(chain(linear(), each)) for name, each in neurons.items()}
    found["thresholds for each channel"] = image(conv(), lif((3, 6, 5), threshold=channels))
    found["thresholds within a channel"] = image(conv(), lif((3, 6, 5), threshold=places))
    found["v_leak for each channel"] = image(conv(), lif((3, 6, 5), leak=channels - 1))
    found["v_leak within a channel"] = image(conv(), lif((3, 6, 5), leak=places - 1))
    without = lif()
    without.v_reset = None
    found["no v_reset"] = Case(chain(linear(), without))
    return found


def _cycles():
    found = {
        "a cycle through Linear": loop(linear(5, 5, 3)),
        "a cycle through Affine with a bias": loop(affine(5, 5, bias=0.1, seed=3)),
        "a cycle of IF": loop(linear(5, 5, 3), integrator()),
        "a cycle through Scale": loop(nir.Scale(each((5,), 0.5))),
        "a cycle through a Linear of another size": loop(linear(5, 4, 3)),
        "a cycle through a Conv2d": loop(conv(5, (1, 1), outputs=5)),
    }
    current = chain(linear(), cuba())
    current.nodes["back"] = linear(5, 5, 3)
    current.edges += [("n1", "back"), ("back", "n1")]
    found["a cycle of CubaLIF"] = Case(current)
    twice = loop(linear(5, 5, 3)).graph
    twice.nodes["again"] = linear(5, 5, 4)
    twice.edges += [("n1", "again"), ("again", "n1")]
    found["two cycles of one population"] = Case(twice)
    self_fed = chain(linear(), lif())
    self_fed.edges.append(("n1", "n1"))
    found["a population that feeds itself"] = Case(self_fed)
    long = chain(linear(), lif(), linear(5, 5, 2), lif())
    long.nodes["back"] = linear(5, 5, 3)
    long.edges += [("n3", "back"), ("back", "n1")]
    found["a cycle over two layers"] = Case(long)
    return found


def _subgraphs():
    found = {
        "a recurrent LIF as a subgraph": Case(chain(affine(), recurrent(lif()))),
        "a recurrent IF as a subgraph": Case(chain(affine(), recurrent(integrator()))),
        "a recurrent CubaLIF as a subgraph": Case(chain(linear(), recurrent(cuba()))),
        "a layer as a subgraph": Case(chain(inner(linear(), lif()))),
        "a subgraph in a subgraph": Case(chain(inner(inner(linear(), lif())))),
        "two subgraphs in a row": Case(
            chain(inner(linear(), lif()), inner(linear(5, 5, 2), lif(), first=(5,)))
        ),
    }
    two = inner(linear(), lif())
    two.nodes["input2"] = nir.Input(np.array([6]))
    found["a subgraph with two inputs"] = Case(chain(two))
    found["an empty subgraph"] = Case(chain(graph_of({}, [])))
    return found


def _fans():
    skip = chain(linear(5, 6), lif(), linear(5, 5, 2), lif())
    skip.nodes["past"] = linear(5, 6, 4)
    skip.edges += [("input", "past"), ("past", "n3")]
    branch = chain(linear(), lif(), linear(5, 5, 2), lif())
    branch.nodes["side"] = linear(5, 5, 4)
    branch.nodes["side_lif"] = lif()
    branch.nodes["output2"] = nir.Output(np.array([5]))
    branch.edges += [("n1", "side"), ("side", "side_lif"), ("side_lif", "output2")]
    inputs = chain(linear(), lif())
    inputs.nodes["input2"], inputs.nodes["w2"] = nir.Input(np.array([6])), linear(5, 6, 4)
    inputs.edges += [("input2", "w2"), ("w2", "n1")]
    twice = chain(linear(), lif())
    twice.edges.append(("input", "n0"))
    missing = chain(linear(), lif())
    missing.edges.append(("n1", "gone"))
    lonely = chain(linear(), lif())
    lonely.nodes["lonely"] = linear(5, 5, 4)
    return {
        "a skip connection": Case(skip),
        "a branch to a second output": Case(branch),
        "two inputs": Case(inputs),
        "an edge that stands twice": Case(twice),
        "an edge to a node that is missing": Case(missing),
        "a node that nothing leads to": Case(lonely),
        "no edges": Case(graph_of(chain(linear(), lif()).nodes, [])),
    }


def _steps():
    found = {}
    for dt in (1e-5, 1e-4, 1e-2, 1.0):
        made = chain(
            linear(), lif(tau=4 * dt), linear(5, 5, 2), cuba(tau_syn=2 * dt, tau_mem=5 * dt)
        )
        found[f"a step of {dt:g} s"] = Case(made, {"dt": dt})
    plain = chain(linear(), lif())
    found["no step"] = Case(plain, {})
    found["no step needed"] = Case(chain(linear(), integrator()), {})
    found["r = 1 / 1e-4, no step"] = Case(chain(linear(), integrator(r=1e4)), {})
    found["r = 7, no step"] = Case(chain(linear(), integrator(r=7.0)), {})
    found["r = 7, a step"] = Case(chain(linear(), integrator(r=700.0)), {"dt": DT})
    found["a step in the metadata"] = Case(chain(linear(), lif(), metadata={"dt": DT}), {})
    found["a step of zero"] = Case(plain, {"dt": 0.0})
    found["a writer that it is not of"] = Case(chain(linear(), lif()), {"writer": "snntorch"})
    return found


def golden_cases() -> dict[str, Case]:
    """Every graph by its name."""
    rooms = (_alone, _chained, _geometry, _constants, _cycles, _subgraphs, _fans, _steps)
    return {name: case for room in rooms for name, case in room().items()}

"""Both ways from snnTorch's usual neuron, which resets by subtraction, to a chip that cannot.

A small convolutional network is trained here on scikit-learn's handwritten digits, rate-coded;
then it is converted at once (``approximate=True``), and swapped to chip-exact neurons and trained
a little more in the chip's integers. Every accuracy is of the integer engine, but the first.

    python bench/approximate.py [--seeds 0 1 2] [--write docs/approximate.md]
"""

from __future__ import annotations

import argparse
import copy
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import snntorch as snn
import torch
from torch import Tensor, nn

from sdcl_neuro.conversion import from_snntorch, make_deployable, prepare_quantization, quantize
from sdcl_neuro.conversion.approximation import describe
from sdcl_neuro.engine import run_network
from sdcl_neuro.files import atomic_path
from sdcl_neuro.network.spec import FloatNetwork

STEPS, BATCH, CALIBRATION = 16, 60, 200


@dataclass(frozen=True)
class Data:
    """Spikes ``[T, B, 1, 8, 8]`` and labels ``[B]``, for training and for testing."""

    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor


def digits(seed: int) -> Data:
    """1797 digits of 8x8 pixels; a pixel of 0 to 16 fires with a sixteenth of it as probability."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(images))
    rates = images[order].reshape(-1, 1, 8, 8) / 16
    spikes = torch.from_numpy(rng.random((STEPS, *rates.shape)) < rates).float()
    target = torch.from_numpy(labels[order])
    return Data(spikes[:, :1200], target[:1200], spikes[:, 1200:], target[1200:])


def network() -> nn.Sequential:
    """Two convolutions, average pooling, two dense layers; snnTorch's default reset."""

    def leaky() -> snn.Leaky:
        surrogate = snn.surrogate.fast_sigmoid(slope=10)
        return snn.Leaky(0.95, spike_grad=surrogate, init_hidden=True)

    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        leaky(),
        nn.Conv2d(8, 12, 3, padding=1),
        leaky(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(12 * 16, 48),
        leaky(),
        nn.Linear(48, 10),
        leaky(),
    )


def counts(module: nn.Module, spikes: Tensor) -> Tensor:
    """Output spikes per class over all steps, ``[B, 10]``, from clean states."""
    for child in module.modules():
        if isinstance(child, snn.SpikingNeuron):
            child.reset_mem()
    return torch.stack([module(step) for step in spikes]).sum(0)


def train(module: nn.Module, data: Data, *, epochs: int, rate: float, seed: int) -> None:
    """Cross-entropy of the output's spike counts, Adam."""
    optimiser = torch.optim.Adam(module.parameters(), lr=rate)
    generator = torch.Generator().manual_seed(seed)
    module.train()
    for _ in range(epochs):
        for chosen in torch.randperm(len(data.train_labels), generator=generator).split(BATCH):
            loss = nn.functional.cross_entropy(
                counts(module, data.train[:, chosen]), data.train_labels[chosen]
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    module.eval()


def accuracy(found: Tensor, labels: Tensor) -> float:
    """Share of samples whose most active class is right."""
    return float((found.argmax(1) == labels).float().mean())


def on_chip(net: FloatNetwork, data: Data, calibration: np.ndarray | None) -> float:
    """Accuracy of the quantised network in the integer engine."""
    chip = quantize(net, calibration=calibration)
    record = run_network(chip, data.test.numpy().astype(np.uint8), layers=[len(chip.layers) - 1])
    out = record.spikes[len(chip.layers) - 1]
    return accuracy(torch.from_numpy(out.sum(0, dtype=np.int64)), data.test_labels)


def measure(*, seed: int = 0, epochs: int = 8, tuning: int = 4) -> dict[str, Any]:
    """Train, convert both ways, and return every accuracy and the list of approximations."""
    torch.manual_seed(seed)
    data = digits(seed)
    begin = time.perf_counter()
    module = network()
    train(module, data, epochs=epochs, rate=3e-3, seed=seed)
    trained_s = time.perf_counter() - begin
    with torch.no_grad():
        before = accuracy(counts(module, data.test), data.test_labels)
    calibration = data.train[:, :CALIBRATION].numpy().astype(np.uint8)
    sample = data.train[:, :1]

    converted = from_snntorch(module, sample, approximate=True, calibration=calibration)
    swapped = make_deployable(copy.deepcopy(module))
    untuned = on_chip(from_snntorch(swapped, sample), data, calibration)
    prepare_quantization(swapped, sample)
    begin = time.perf_counter()
    train(swapped, data, epochs=tuning, rate=1e-3, seed=seed)
    tuned_s = time.perf_counter() - begin
    with torch.no_grad():
        in_training = accuracy(counts(swapped, data.test), data.test_labels)
    return {
        "seed": seed,
        "epochs": epochs,
        "tuning": tuning,
        "before": before,
        "swapped": untuned,
        "approximate": on_chip(converted, data, calibration),
        "tuned": on_chip(from_snntorch(swapped, sample), data, None),
        "tuned_in_training": in_training,
        "notes": converted.meta["approximate"],
        "folded": converted.meta["lowered"],
        "trained_s": trained_s,
        "tuned_s": tuned_s,
        "test_samples": len(data.test_labels),
    }


ROWS = {
    "before": "as trained, reset by subtraction, float (snnTorch)",
    "swapped": "reset to zero, thresholds unchanged, integers",
    "approximate": "`approximate=True`, thresholds set on data, integers",
    "tuned": "`make_deployable`, {tuning} epochs more in integers",
}


def page(results: list[dict[str, Any]]) -> str:
    """The figures as the page in docs."""
    first = results[0]
    seeds = [str(found["seed"]) for found in results]
    head = ["network", *(f"seed {seed}" for seed in seeds), "mean"]
    table = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for key, name in ROWS.items():
        values = [found[key] for found in results]
        cells = [f"{100 * value:.1f} %" for value in (*values, float(np.mean(values)))]
        table.append("| " + " | ".join([name.format(**first), *cells]) + " |")
    return _PAGE.format(
        table="\n".join(table),
        listed="\n".join(describe(first["notes"])),
        folded="\n".join(f"- {note}" for note in first["folded"]),
        seeds=" ".join(seeds),
        steps=STEPS,
        calibration=CALIBRATION,
        **{key: first[key] for key in ("seed", "epochs", "tuning", "test_samples")},
    )


_PAGE = """# A network that resets by subtraction

snnTorch's neurons take the threshold off the membrane when they fire; Loihi's, as Lava computes
them, set it to zero. No choice of weights makes the two equal, so such a network is refused, and
the refusal names two ways in:

```python
net = conversion.from_snntorch(module, sample, approximate=True, calibration=spikes)  # at once
module = conversion.make_deployable(module)  # or: chip-exact neurons, go on training
```

`approximate=True` keeps weights and decays and sets one threshold per layer, front to back, so
that on the calibration data each layer fires as often as in the original. It also takes a delayed
reset of `Synaptic` and `RLeaky`, and a bias in front of a `Synaptic` (as the constant it tends
to). What it did is listed in `net.meta["approximate"]`; on the command line, where the model is a
file, `sdcl-neuro convert --approximate --calibrate SPIKES` prints it and stores it in `OUT.json`.

## Graphs

In a graph ([deploy a residual network](how-to/deploy-a-resnet.md)), from snnTorch and from NIR, the
same neurons and biases are approximated as in a chain, and two things more:

- **Max pooling of currents** (convolution, MaxPool2d, neuron, snnTorch's own order) moves behind
  the neurons, which then number one a pixel; the pooled neuron is taken to fire where one in its
  window does. The layer's own spikes are those before the pooling.
- **Decays of more than 16 values** in a population, of which each takes a layer, become those of
  four clusters (the means of k-means on the pairs of decays).

Thresholds of these populations are set as above, and `meta["approximate"]` compares each with the
original; `stands_for` is the node whose spikes are compared. A random network (2x8x8 to six
channels, pooled, and 24 channels of 24 decays, 12 steps, rate 0.3): the pooled layer sent 100.0 %
of its original's spikes, 52.6 % of those that either sent were the same; the clustered one after
it 100.0 % and 23.1 %. What that costs in accuracy depends on the network; a network that pools
behind its neurons and has few decays from the start is exact, and can be trained in integers.

An untrained residual network of snnTorch's default neurons (two blocks with batch norm and a decay
a channel, 8 steps, rate 0.2): each population sent as many spikes as its original's, to one; of
those that either sent, 68 % were the same in the first and 37 to 49 % in the later ones, since what
differs adds up from block to block. In integers the rates moved by less than 2 % more.

## Measured
By `python bench/approximate.py --seeds {seeds} --write docs/approximate.md`: two convolutions,
average pooling and two dense layers on scikit-learn's 8x8 digits, {steps} rate-coded steps, trained
for {epochs} epochs; accuracy on {test_samples} samples that were not trained on. All but the first
row are of the integer engine.

{table}

Equal firing rates are not equal spikes: what a threshold can make up for depends on the network,
and now and then it makes up for nothing. (The last row has also had {tuning} epochs more than the
first.) Training on is the way to get the accuracy back; what
training in integers computes is, spike for spike, what the chip does.

What `approximate=True` listed for seed {seed}, on {calibration} samples of the training data (*rate
kept*: spikes as a share of the original's; *same spikes*: sent by both, of those that either sent):

```
{listed}
```

Folded on the way:

{folded}
"""


def main() -> None:
    """Measure, print, and write the page if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--write", type=Path, metavar="PAGE")
    arguments = parser.parse_args()
    results = []
    for seed in arguments.seeds:
        found = measure(seed=seed)
        print(f"seed {seed}: trained {found['trained_s']:.1f} s, tuned {found['tuned_s']:.1f} s")
        results.append(found)
    text = page(results)
    print(text)
    if arguments.write is not None:
        with atomic_path(arguments.write) as temporary:
            temporary.write_text(text)


if __name__ == "__main__":
    main()

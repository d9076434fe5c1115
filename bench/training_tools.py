"""One training step of one network by five libraries: same weights, same input, same loss.

A step is forward from a clean state over all steps of time, the last layer's spikes weighted by
fixed random numbers and summed, and backward to the weights. Each library is written as its own
manual has it; its dynamics are those of snnTorch's ``Leaky`` with reset to zero as far as it can
express them (surrogates are each library's own but for SpikingJelly's, which is the same).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sdcl_neuro.devices import torch_threads
from sdcl_neuro.processors import settle
from sdcl_neuro.snn.event_branch import PAPER, BranchDescription, ConvolutionSpec, EventBranch

STEPS, BATCH, SIZE = 16, 8, (128, 64)
DEEP = BranchDescription(tuple(ConvolutionSpec(c, 3, 2, 1) for c in (16, 32, 64, 128)))
NETWORKS = {"paper": PAPER, "deep": DEEP}
FIRING = 0.05
Step = Callable[[], dict[str, Any]]


class Task:
    """What all share: a branch with weights at which every layer fires at 5 %, input, loss."""

    def __init__(
        self, network: str, rate: float, *, device: str = "cpu", threads: int | None = None
    ) -> None:
        warnings.simplefilter("ignore")
        if threads is not None:
            torch.set_num_threads(threads)
        # All tools in full precision: with shortened products their gradients would not compare.
        torch.backends.cudnn.allow_tf32 = False
        torch.manual_seed(0)
        description = NETWORKS[network]
        self.spikes = (torch.rand(STEPS, BATCH, 2, *SIZE) < rate).float()
        shape = (STEPS, BATCH, *description.output_shape(SIZE))
        self.loss_weights = torch.randn(shape).to(device)
        self.branch = EventBranch(description)
        self.branch.calibrate_rates(self.spikes[:, :1], rate=FIRING)
        self.branch.to(device)
        self.spikes = self.spikes.to(device)
        self.convolutions: list[nn.Conv2d] = list(self.branch.synapses)  # type: ignore[arg-type]

    def step(self, forward: Callable[[], Tensor], weights: Sequence[Tensor]) -> Step:
        """A training step as a function; it returns the weights' gradients and the firing rate."""

        def run() -> dict[str, Any]:
            for weight in weights:
                weight.grad = None
            spikes = forward()
            (spikes * self.loss_weights).sum().backward()
            found = {f"gradient_{i}": weight.grad for i, weight in enumerate(weights)}
            if spikes.device.type != "cpu":
                torch.cuda.synchronize()
                found = {name: value.cpu() for name, value in found.items() if value is not None}
            return {**found, "fired": spikes.detach().sum().cpu()}

        return run

    @property
    def weights(self) -> list[Tensor]:
        """Of the branch's own convolutions."""
        return [convolution.weight for convolution in self.convolutions]


def busy_training(network: str, rate: float, decided: bool = True) -> Step:
    """`ours`, in as many threads as are decided before each step, or as torch takes them."""
    step = ours(network, rate)
    if not decided:
        return step

    def run() -> dict[str, Any]:
        with torch_threads(settle().count):
            return step()

    return run


def ours(
    network: str, rate: float, mode: str = "float", recompute: int | None = None, **options: Any
) -> Step:
    """`EventBranch`, in float or in the chip's integers."""
    task = Task(network, rate, **options)
    if mode == "int":
        task.branch.prepare_quantization()
    task.branch.recompute_steps = recompute
    return task.step(lambda: task.branch(task.spikes)[-1], task.weights)


def snntorch(network: str, rate: float, **options: Any) -> Step:
    """snnTorch's loop over time."""
    import snntorch as snn

    task = Task(network, rate, **options)
    like = task.branch.description
    neurons = [
        snn.Leaky(like.beta, threshold=like.threshold, reset_mechanism="zero").to(task.spikes)
        for _ in task.convolutions
    ]

    def forward() -> Tensor:
        states = [neuron.reset_mem() for neuron in neurons]
        fired = []
        for spikes in task.spikes.unbind(0):
            for index, (convolution, neuron) in enumerate(
                zip(task.convolutions, neurons, strict=True)
            ):
                spikes, states[index] = neuron(convolution(spikes), states[index])
            fired.append(spikes)
        return torch.stack(fired)

    return task.step(forward, task.weights)


def spikingjelly(
    network: str, rate: float, multi_step: bool = True, backend: str = "torch", **options: Any
) -> Step:
    """SpikingJelly: all steps layer by layer, or step by step."""
    from spikingjelly.activation_based import functional

    task = Task(network, rate, **options)
    net = spikingjelly_network(task, multi_step=multi_step, backend=backend)

    def forward() -> Tensor:
        functional.reset_net(net)
        if multi_step:
            return net(task.spikes)  # type: ignore[no-any-return]
        return torch.stack([net(step) for step in task.spikes.unbind(0)])

    return task.step(forward, list(net.parameters()))


def spikingjelly_network(
    task: Task, *, multi_step: bool = True, backend: str = "torch"
) -> nn.Sequential:
    """The task's network in SpikingJelly's layers, with a backend of its neurons."""
    from spikingjelly.activation_based import layer, neuron, surrogate

    like = task.branch.description
    mode = "m" if multi_step else "s"
    # Until version 1 an argument says what computes the neurons, from version 2 the environment.
    chosen = {} if backend == "torch" else {"backend": backend}
    modules: list[nn.Module] = []
    for own in task.convolutions:
        convolution = layer.Conv2d(
            own.in_channels, own.out_channels, own.kernel_size, own.stride, own.padding,
            bias=False, step_mode=mode,
        )  # fmt: skip
        convolution.weight.data.copy_(own.weight.data)
        modules += [
            convolution,
            neuron.LIFNode(
                tau=1 / (1 - like.beta), decay_input=False, v_threshold=like.threshold,
                v_reset=0.0, surrogate_function=surrogate.ATan(), detach_reset=True,
                step_mode=mode, **chosen,
            ),
        ]  # fmt: skip
    return nn.Sequential(*modules).to(task.spikes.device)


def norse(network: str, rate: float, **options: Any) -> Step:
    """Norse's ``LIFBox`` in a loop over time; its input is multiplied by 1 - beta there."""
    import norse.torch as library

    task = Task(network, rate, **options)
    like = task.branch.description
    dt = 1e-3
    cells = [
        library.LIFBoxCell(
            p=library.LIFBoxParameters(
                tau_mem_inv=torch.tensor((1 - like.beta) / dt),
                v_th=torch.tensor(like.threshold),
            ),
            dt=dt,
        )
        for _ in task.convolutions
    ]
    with torch.no_grad():
        for convolution in task.convolutions:
            convolution.weight /= 1 - like.beta

    def forward() -> Tensor:
        states: list[Any] = [None] * len(cells)
        fired = []
        for spikes in task.spikes.unbind(0):
            for index, (convolution, cell) in enumerate(zip(task.convolutions, cells, strict=True)):
                spikes, states[index] = cell(convolution(spikes), states[index])
            fired.append(spikes)
        return torch.stack(fired)

    return task.step(forward, task.weights)


def sinabs(network: str, rate: float, **options: Any) -> Step:
    """Sinabs: convolutions over all steps at once, samples first as it wants them."""
    import sinabs.activation as activation
    from sinabs.layers import LIFSqueeze

    task = Task(network, rate, **options)
    like = task.branch.description
    modules: list[nn.Module] = []
    for convolution in task.convolutions:
        neuron = LIFSqueeze(
            batch_size=BATCH, tau_mem=float(-1 / np.log(like.beta)), norm_input=False,
            spike_threshold=torch.tensor(like.threshold), spike_fn=activation.SingleSpike,
            reset_fn=activation.MembraneReset(),
        )  # fmt: skip
        modules += [convolution, neuron]
    net = nn.Sequential(*modules)
    folded = task.spikes.transpose(0, 1).flatten(0, 1).contiguous()
    task.loss_weights = task.loss_weights.transpose(0, 1).flatten(0, 1).contiguous()

    def forward() -> Tensor:
        for neuron in modules[1::2]:
            neuron.reset_states()
        return net(folded)  # type: ignore[no-any-return]

    return task.step(forward, task.weights)

"""Several processes that train as one: what they share of a batch, with exact gradients.

`torchrun` starts the processes. Each holds its part of the joint batch; what couples the samples
of a batch (batch-hard mining, the statistics of batch norm) sees all of them. Every process then
computes the same loss L. All exchanges below have their true adjoint as backward pass, so the sum
of a parameter's gradients over the processes is that of (number of processes) * L, and the mean,
which DistributedDataParallel takes, is the gradient of one process with the joint batch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sdcl_neuro.errors import EnvironmentFault, InputError, number_of


@dataclass(frozen=True)
class Group:
    """The processes that train together: which one this is, and how many they are."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def share(self, batch: int) -> slice:
        """Return this process' part of a joint batch.

        Raises:
            InputError: a batch that cannot be shared evenly.
        """
        if batch % self.size:
            raise InputError(
                f"{batch} tracklets a batch cannot be shared among {self.size} processes",
                where="training.persons and training.tracklets",
                hint=f"give a product that is a multiple of {self.size}",
            )
        part = batch // self.size
        return slice(self.rank * part, (self.rank + 1) * part)


ALONE = Group()


PATIENCE = timedelta(hours=12)
"""How long a process waits for another that fills a cache or saves alone; torchrun ends all when
one ends."""


@contextmanager
def process_group(device: str = "auto") -> Iterator[Group]:
    """Join the group that `torchrun` made, if it did; gloo for CPUs, and NCCL for GPUs.

    Args:
        device: on which it trains, as the settings name it: tensors of a CPU go through gloo even
            where there are GPUs.

    Raises:
        EnvironmentFault: the processes do not find each other, or are more than the GPUs.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield ALONE
        return
    on_gpus = torch.cuda.is_available() and not device.startswith("cpu")
    if on_gpus:
        _take_gpu()
    try:
        backend = "cpu:gloo,cuda:nccl" if on_gpus else "gloo"
        distributed.init_process_group(backend, timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise EnvironmentFault(
            f"the processes do not find each other: {' '.join(str(error).split())}",
            hint="start them with torchrun",
        ) from None
    try:
        yield Group(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


def _take_gpu() -> None:
    """Make this process' GPU the current one."""
    rank, found = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    processes = os.environ.get("LOCAL_WORLD_SIZE", os.environ["WORLD_SIZE"])
    hint = f"give --nproc-per-node {found or 1} at most, or training.device=cpu"
    if 0 < found <= rank:
        gpus = number_of(found, "GPU")
        what = f"{processes} processes on a machine with {gpus}, one for each is needed"
        raise EnvironmentFault(what, where="torchrun", hint=hint)
    try:
        torch.cuda.set_device(rank)
    except RuntimeError as error:
        what = f"GPU {rank} cannot be used ({str(error).splitlines()[0]})"
        raise EnvironmentFault(what, where="torchrun", hint=hint) from error


def gathered(part: Tensor, group: Group) -> Tensor:
    """Return all processes' parts ``[b, ...]`` in the order of their ranks ``[size * b, ...]``."""
    if group.size == 1:
        return part
    joint: Tensor = _Gather.apply(part, group)
    return joint


def summed(value: Tensor, group: Group) -> Tensor:
    """Return the sum of all processes' values, in each of them."""
    if group.size == 1:
        return value
    total: Tensor = _SharedSum.apply(value)
    return total


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: Tensor, group: Group) -> Tensor:
        ctx.group, ctx.length = group, len(part)
        parts = [torch.empty_like(part) for _ in range(group.size)]
        distributed.all_gather(parts, part.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total = gradients[0].clone()
        distributed.all_reduce(total)
        begin = ctx.group.rank * ctx.length
        return total[begin : begin + ctx.length], None


class _SharedSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total


class JointBatchNorm(_BatchNorm):
    """Batch norm over the parts of all processes, of equal sizes, on CPU and GPU alike.

    The variance is taken around the joint mean, in two passes, as a single process does.
    """

    group: Group

    @classmethod
    def of(cls, norm: _BatchNorm, group: Group) -> JointBatchNorm:
        """Return a layer that shares the parameters and buffers of `norm`."""
        joint = cls(norm.num_features, eps=norm.eps, momentum=norm.momentum, affine=norm.affine)
        joint._parameters, joint._buffers = norm._parameters, norm._buffers
        joint.training, joint.group = norm.training, group
        return joint

    def _check_input_dim(self, input: Tensor) -> None:
        """Accept any number of dimensions."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise ``[B, C, ...]``."""
        if not self.training:
            return super().forward(input)
        values = input.float()
        places = [dimension for dimension in range(values.ndim) if dimension != 1]
        count = self.group.size * values.numel() // values.shape[1]
        mean = summed(values.sum(places), self.group) / count
        shape = [1, -1, *[1] * (values.ndim - 2)]
        centred = values - mean.view(shape)
        variance = summed(centred.square().sum(places), self.group) / count
        self._remember(mean.detach(), variance.detach() * (count / max(count - 1, 1)))
        scale = torch.rsqrt(variance + self.eps)
        scale = scale if self.weight is None else scale * self.weight
        result = centred * scale.view(shape)
        if self.bias is not None:
            result = result + self.bias.view(shape)
        return result.to(input.dtype)

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        weight = self.momentum
        if weight is None:
            weight = 1.0 / float(self.num_batches_tracked or 1)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), weight)
        self.running_var.lerp_(variance.to(self.running_var.dtype), weight)


@contextmanager
def joint_batch_norms(module: nn.Module, group: Group) -> Iterator[None]:
    """Let every batch norm inside `module` see the joint batch while open."""
    exchanged: list[tuple[nn.Module, str, nn.Module]] = []
    if group.size > 1:
        # What is given the joint batch already must not be joined again.
        whole = {
            inner
            for one in module.modules()
            if getattr(one, "sees_whole_batch", False)
            for inner in one.modules()
        }
        for parent in list(module.modules()):
            if parent in whole:
                continue
            for name, child in parent.named_children():
                if isinstance(child, _BatchNorm):
                    exchanged.append((parent, name, child))
                    setattr(parent, name, JointBatchNorm.of(child, group))
    try:
        yield
    finally:
        for parent, name, child in exchanged:
            child.train(getattr(parent, name).training)
            setattr(parent, name, child)

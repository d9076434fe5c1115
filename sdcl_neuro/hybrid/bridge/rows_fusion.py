"""The ways of fusion and the event mapping for inference, on rows of channels (see `rows`)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from .alignment import CrossFeatureAlignment
from .fusion import Addition, Concatenation, CrossAttention, Fusion
from .gathering import gathered_convolution
from .mapping import DeformableLayer, EventMapping
from .offsets import active_cells
from .point_sampling import mixed_samples
from .rows import Product, TwoProducts, as_maps, as_rows, folded, folded_weights
from .sampling import nearest_event_index

Size = tuple[int, int]


class AlignmentRows(nn.Module):
    """`alignment.CrossFeatureAlignment`; samples are taken in float32."""

    projection: Tensor

    def __init__(self, module: CrossFeatureAlignment, size: Size) -> None:
        super().__init__()
        self.heads, self.points, self.size = module.heads, module.points, size
        self.value, self.output = Product.of(module.value), Product.of(module.output)
        first, last = module.score[0], module.score[2]
        assert isinstance(first, nn.Conv2d)
        self.hidden = Product(first.weight, first.bias, relu=True)
        self.score, self.offset = Product.of(last), Product.of(module.offset)
        # Not a buffer: a bridge in bfloat16 keeps it in float32.
        self.projection = module.projection.detach().clone()

    def forward(self, own: Tensor, other: Tensor) -> Tensor:
        """Map rows ``[N, hw, C]`` twice, to the same."""
        batch, cells = own.shape[:2]
        query = own * other
        score = self.score(self.hidden(query)).float().transpose(1, 2).contiguous()
        offset = self.offset(query).float().transpose(1, 2).unflatten(2, self.size)
        weight = score.view(batch, self.heads, self.points, cells).softmax(2)
        value = as_maps(self.value(other).float(), self.size)
        mixed = as_rows(mixed_samples(value, offset, weight, self.projection))
        written: Tensor = self.output(mixed.to(own.dtype)).add_(own)
        return written


class AttentionRows(nn.Module):
    """`fusion.CrossAttention`."""

    def __init__(self, module: CrossAttention) -> None:
        super().__init__()
        self.heads = module.heads
        parts = (module.query, module.key, module.value, module.output)
        self.query, self.key, self.value, self.output = (Product.of(part) for part in parts)

    def forward(self, own: Tensor, other: Tensor) -> Tensor:
        """Map rows ``[N, hw, C]`` twice, to the same."""
        given = (self.query(own), self.key(other), self.value(other))
        query, key, value = (x.unflatten(2, (self.heads, -1)).transpose(1, 2) for x in given)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        written: Tensor = self.output(mixed.transpose(1, 2).flatten(2)).add_(own)
        return written


def _exchange(module: nn.Module | None, size: Size) -> nn.Module | None:
    if isinstance(module, CrossFeatureAlignment):
        return AlignmentRows(module, size)
    if isinstance(module, CrossAttention):
        return AttentionRows(module)
    if isinstance(module, Concatenation):
        weight, bias = folded_weights(module.mix)
        return TwoProducts(weight, bias, first=weight.shape[1] // 2, relu=True)
    assert module is None or isinstance(module, Addition)
    return module


class FusionRows(nn.Module):
    """`fusion.Fusion`: both sides' rows, exchanged."""

    def __init__(self, fusion: Fusion, size: Size) -> None:
        super().__init__()
        self.e2f, self.f2e = _exchange(fusion.e2f, size), _exchange(fusion.f2e, size)

    def forward(self, frames: Tensor, events: Tensor) -> tuple[Tensor, Tensor]:
        """Map rows ``[N, hw, C]`` of frames and events, to the same."""
        return (
            frames if self.e2f is None else self.e2f(frames, events),
            events if self.f2e is None else self.f2e(events, frames),
        )


class PatchProduct(nn.Module):
    """A convolution whose kernel is its stride, with batch norm and ReLU, as one product.

    Args:
        layers: the convolution, batch norm, ReLU.
    """

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        weight, bias = folded_weights(layers)
        self.kernel = (weight.shape[2], weight.shape[3])
        self.product = Product(weight, bias, relu=True)

    def forward(self, maps: Tensor) -> Tensor:
        """Map ``[N, C_in, H, W]`` to rows ``[N, h * w, C_out]``."""
        down, right = self.kernel
        parts = maps.to(self.product.weight.dtype)
        parts = parts.unflatten(3, (-1, right)).unflatten(2, (-1, down))
        parts = parts.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
        made: Tensor = self.product(parts)
        return made


class MappingRows(nn.Module):
    """`mapping.EventMapping`: events are sought once, batch norms are in the weights."""

    def __init__(self, mapping: EventMapping) -> None:
        super().__init__()
        self.kernel, self.window = mapping.kernel, mapping.window
        self.weights = [_deformable(layer) for layer in mapping.layers]
        self.entry = PatchProduct(mapping.entry)

    def forward(self, features: Tensor, counts: Tensor) -> Tensor:
        """Map features ``[N, Ce, h, w]`` and counts ``[N, H, W]`` to rows ``[N, cells, C]``."""
        if self.weights:
            size = (features.shape[2], features.shape[3])
            index = nearest_event_index(active_cells(counts, size), self.kernel, window=self.window)
            for weight, bias in self.weights:
                features = gathered_convolution(features, weight, index)
                features = features.add_(bias).relu_()
        rows: Tensor = self.entry(features)
        return rows


def _deformable(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight and bias ``[C, 1, 1]`` of a deformable convolution and its batch norm, float32."""
    assert isinstance(layer, DeformableLayer)
    weight, bias = folded(layer.conv.weight, None, layer.bn)
    return weight, bias[:, None, None]

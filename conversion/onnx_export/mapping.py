"""Event deformable mapping as a graph of plain operators, the search for nearest events included.

The bridge's own search is compiled, or looks at active cells only, so that its shapes follow the
data. Here every cell looks, by a few operators that every runtime has: one TopK takes the N nearest
events, a second puts them row by row. The same numbers come out; a test holds this.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...bridge import EventMapping
from ...bridge.offsets import neighbourhood
from ...errors import InputError
from ...spec import Pair


class GraphMapping(nn.Module):
    """An `EventMapping` that can be exported; called and answering as it does.

    Args:
        mapping: whose weights are taken.
        cells: height and width of the event map.
        pixels: height and width of the event counts, a whole multiple of `cells`.

    Raises:
        InputError: another ratio.
    """

    points: Tensor  # positions of the search window's cells, nearest first, int64 [K]
    order: Tensor  # of each of them its place row by row, float [K]
    steps: Tensor  # to each of them, row by row, in the padded map, int64 [K]
    regular: Tensor  # to the taps of the regular grid, int64 [k*k]
    centre: Tensor  # each cell in the padded map, int64 [h*w]

    def __init__(self, mapping: EventMapping, *, cells: Pair, pixels: Pair) -> None:
        super().__init__()
        if any(pixel % cell for pixel, cell in zip(pixels, cells, strict=True)):
            raise InputError(
                f"event counts of {pixels} pixels on a map of {cells} cells have no whole ratio",
                where="the bridge's event mapping",
                mend="choose an input size that the event branch divides evenly",
            )
        self.layers, self.entry = mapping.layers, mapping.entry
        self.kernel, self.cells = mapping.kernel, cells
        self.ratio = (pixels[0] // cells[0], pixels[1] // cells[1])
        height, width = cells
        self.reach = min(mapping.window, height - 1), min(mapping.window, width - 1)
        self._constants(neighbourhood(mapping.window, height, width))

    def _constants(self, ball: tuple[Pair, ...]) -> None:
        (height, width), pad = self.cells, self.kernel // 2
        rows, columns = self.reach
        pitch = width + 2 * pad
        ordered = sorted(ball)
        grid = [(y, x) for y in range(-pad, pad + 1) for x in range(-pad, pad + 1)]
        values = {
            "points": [(y + rows) * (2 * columns + 1) + x + columns for y, x in ball],
            "order": [float(ordered.index(point)) for point in ball],
            "steps": [y * pitch + x for y, x in ordered],
            "regular": [y * pitch + x for y, x in grid],
            "centre": [(y + pad) * pitch + x + pad for y in range(height) for x in range(width)],
        }
        for name, value in values.items():
            self.register_buffer(name, torch.tensor(value))

    def forward(self, features: Tensor, counts: Tensor) -> Tensor:
        """``[N, Ce, h, w]`` and ``[N, H, W]`` to ``[N, C, *map_size]``."""
        if self.layers:
            index = self.index(counts)
            layer: Any
            for layer in self.layers:
                mixed = self._convolved(features, index, layer.conv.weight)
                features = functional.relu(layer.bn(mixed))
        mapped: Tensor = self.entry(features)
        return mapped

    def index(self, counts: Tensor) -> Tensor:
        """Where each tap reads in the map padded by k // 2 on each side.

        Args:
            counts: ``[N, H, W]``.

        Returns:
            int64 ``[N, k*k * h*w]``, tap by tap.
        """
        taps = len(self.regular)
        near = self.centre + self.regular[:, None]  # [k*k, hw]
        batch = counts.shape[0]
        if len(self.points) < taps:
            return near.view(1, -1).expand(batch, -1)
        active = (counts > 0).to(torch.float32)
        if self.ratio != (1, 1):
            active = functional.max_pool2d(active[:, None], self.ratio, self.ratio)[:, 0]
        held = self._window(active)  # [N, K, hw], 1 where an event is, nearest first
        urgency = torch.arange(len(self.points), 0, -1, dtype=torch.float32)[:, None]
        nearest = torch.topk(held * urgency, taps, dim=1)
        enough = (nearest.values[:, -1:] > 0) & (held[:, :1] > 0)  # [N, 1, hw]
        place = _looked_up(self.order, nearest.indices)  # [N, k*k, hw]
        row_by_row = torch.topk(place, taps, dim=1, largest=False).values.to(torch.int64)
        found = self.centre + _looked_up(self.steps, row_by_row)
        return torch.where(enough, found, near).flatten(1)

    def _window(self, active: Tensor) -> Tensor:
        """``[N, h, w]`` to what each cell sees around it: ``[N, K, h*w]``."""
        (height, width), (rows, columns) = self.cells, self.reach
        padded = functional.pad(active, (columns, columns, rows, rows))
        across = _shifts(2 * rows + 1, height), _shifts(2 * columns + 1, width)
        seen = padded.index_select(1, across[0]).index_select(2, across[1])
        seen = seen.view(-1, 2 * rows + 1, height, 2 * columns + 1, width).transpose(2, 3)
        flat = seen.reshape(-1, (2 * rows + 1) * (2 * columns + 1), height * width)
        return flat.index_select(1, self.points)

    def _convolved(self, features: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        """The deformable convolution: ``[N, C_in, h, w]`` to ``[N, C_out, h, w]``."""
        channels, pad = features.shape[1], self.kernel // 2
        plane = functional.pad(features, (pad, pad, pad, pad)).flatten(2)
        taps = plane.gather(2, index[:, None].expand(-1, channels, -1))
        columns = taps.reshape(-1, channels * len(self.regular), len(self.centre))
        mixed: Tensor = weight.flatten(1) @ columns
        return mixed.view(-1, len(weight), *self.cells)


def _looked_up(table: Tensor, index: Tensor) -> Tensor:
    """``table[index]``, which exported as it stands would become a GatherND."""
    return table.index_select(0, index.flatten()).view(index.shape)


def _shifts(count: int, size: int) -> Tensor:
    """Indices 0 to size - 1, then 1 to size, and so on, `count` times."""
    return (torch.arange(count)[:, None] + torch.arange(size)).flatten()

"""How training does on persons it does not learn: training identities that were held out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..datasets import Clip, DataSet
from ..metrics import distance_matrix, evaluate_ranking
from .distributed import ALONE, Group, gathered
from .objective import Objective, stack
from .samples import Sample

_BATCH = 8


def validate(
    objective: Objective,
    data: DataSet,
    clip: Clip,
    positions: Sequence[int],
    *,
    group: Group = ALONE,
) -> tuple[float, float]:
    """Return mAP and rank-1 of `positions`, of which each person's first one in each camera asks.

    Without random changes; the model's own state and mode stay as they are. All processes of a
    group call it together and share the work: none of them waits for longer than a batch.

    Raises:
        InputError: no person among them is seen by two cameras.
    """
    embeddings = embed(objective, data, clip, positions, group=group)
    entries = [data.entries[position] for position in positions]
    persons = np.array([entry.person for entry in entries])
    cameras = np.array([entry.camera for entry in entries])
    _, asking = np.unique(np.stack([persons, cameras]), axis=1, return_index=True)
    metrics = evaluate_ranking(
        distance_matrix(embeddings[asking], embeddings),
        persons[asking],
        persons,
        cameras[asking],
        cameras,
    )
    return metrics.mean_ap, metrics.cmc[1]


def embed(
    objective: Objective,
    data: DataSet,
    clip: Clip,
    positions: Sequence[int],
    *,
    group: Group = ALONE,
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Return embeddings ``[N, C]`` in evaluation mode, in float32.

    The processes of a `group` take batches in turn; each returns all of them.
    """
    model = objective.model
    modes = [(module, module.training) for module in model.modules()]
    device, config = next(model.parameters()).device, model.bridge.config
    found = []
    model.eval()
    try:
        with torch.no_grad():
            batches = [positions[k : k + _BATCH] for k in range(0, len(positions), _BATCH)]
            rounds = -(-len(batches) // group.size)
            for number in range(rounds):
                # Where batches run out, the last one is computed again, so that all take part.
                mine = batches[min(number * group.size + group.rank, len(batches) - 1)]
                each = [data.load(p, clip) for p in mine]
                samples = [
                    Sample(
                        one.frames if config.uses_frames else None,
                        one.spikes if config.uses_events else None,
                    )
                    for one in each
                ]
                batch = stack(samples, [0] * len(samples), device=device)
                ours = objective.output(batch).embedding.float()
                whole = torch.cat([ours, ours.new_zeros(_BATCH - len(mine), ours.shape[1])])
                found.append(gathered(whole, group).cpu().numpy())
    finally:
        for module, training in modes:
            module.training = training
    # Each round has _BATCH rows of every process; only the last batch may have fewer.
    together: np.ndarray[tuple[int, int], np.dtype[np.float32]] = np.concatenate(found)
    return together[: len(positions)]

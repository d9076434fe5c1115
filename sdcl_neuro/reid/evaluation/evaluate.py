"""mAP and CMC of a trained model, its event branch on every backend that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.conversion.backends.table import find_backend
from sdcl_neuro.errors import InputError
from sdcl_neuro.files import scratch_folder
from sdcl_neuro.hybrid.composition import kind_of
from sdcl_neuro.hybrid.methods import notes_on
from sdcl_neuro.network.arguments import public, public_class

from ..datasets import Clip, DataSet, labels, tracklets
from ..datasets.degraded import Degraded
from ..datasets.index import Labels, Part
from ..metrics import Ranking, ReRanking, changed_lists, distance_blocks, rank_blocks, rerank_blocks
from ..metrics.distances import Metric
from ..metrics.measures import CMC_RANKS
from .extraction import Embeddings, Extraction, extract
from .feature_sources import FeatureSource, check_backends, event_arm, unspiking_arm, with_integers
from .result import Evaluation, EvaluationRow
from .setting import Setting
from .trained import Trained

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Opens a progress bar, given a title and a total; the function it yields advances it."""
DataSource = DataSet | Callable[[Clip], DataSet]
CLEAN = "clean"
CALIBRATION = 32
"""Tracklets on which a float branch's integers are calibrated."""


@dataclass(frozen=True)
class Condition:
    """How the frames of query and gallery are: clean, or degraded as `datasets.degrade` does."""

    kind: str = CLEAN
    severity: int = 0
    seed: int = 0

    def of(self, data: DataSet) -> DataSet:
        """Return the data set under this condition."""
        if self.kind == CLEAN:
            return data
        return Degraded(data, self.kind, self.severity, seed=self.seed)

    def __str__(self) -> str:
        return self.kind if self.kind == CLEAN else f"{self.kind}:{self.severity}"


@public_class
@dataclass(frozen=True)
class EvaluationSettings:
    """How embeddings become figures.

    Attributes:
        distance: ``cosine`` or ``euclidean``.
        ranks: of the CMC.
        reranking: settings of the re-ranking; None leaves it out.
    """

    distance: Metric = "cosine"
    ranks: tuple[int, ...] = CMC_RANKS
    reranking: ReRanking | None = None


@contextmanager
def _silent(title: str, total: int) -> Iterator[Callable[[int], None]]:
    yield lambda count: None


@public
def evaluate(
    trained: Trained,
    data: DataSource,
    *,
    backends: Sequence[str] = (),
    settings: Sequence[Setting] = (Setting(),),
    conditions: Sequence[Condition] = (Condition(),),
    judging: EvaluationSettings | None = None,
    how: Extraction | None = None,
    progress: Progress = _silent,
) -> Evaluation | None:
    """Rank the gallery for every query and measure, row by row.

    The first backend at the first setting is what lists are compared with. Whatever the row, the
    frame branch and the bridge are the same, and so is the order of the tracklets.

    Args:
        trained: the model.
        data: the data set, or a function that gives it for a shape of tracklets, where that shape
            is fixed when the data set is built and `settings` vary the bins.
        backends: of the event branch; none is ``loihi`` where training fixed the integers, else
            ``snntorch``. `arms.FROM_FILE` run a ``.net`` file that was written and read back.
        settings: ways to deploy.
        conditions: of the frames.
        judging: see `EvaluationSettings`.
        how: see `Extraction`.
        progress: makes progress bars.

    Returns:
        The evaluation; None in all processes of a group but the first.

    Raises:
        InputError: no query or no gallery, backends for a model without spikes, a setting that
            the model cannot take, or tracklets that do not fit it.
        EnvironmentFault: a backend or a GPU that is not there.
    """
    judging, how = judging or EvaluationSettings(), how or Extraction()
    check_backends(backends)
    # Data sets by number of bins: a data set may be built for one shape of tracklets.
    opened: dict[int, DataSet] = {}

    def of(bins: int) -> DataSet:
        if bins not in opened:
            clip = replace(trained.clip, bins=bins)
            opened[bins] = data(clip) if callable(data) else data
        return opened[bins]

    base = of(trained.clip.bins)
    for part in ("query", "gallery"):
        if not getattr(base, part):
            raise InputError(f"no tracklets in the {part}", where=str(base), hint="give some")
    with scratch_folder("sdcl_neuro") as folder:
        arms, notes = _arms(trained, base, backends, settings, folder, how)
        notes = [*notes_on(kind_of(trained.checkpoint.model)), *notes]
        rows: list[EvaluationRow] = []
        for condition in conditions:
            embeddings = _embeddings(trained, of, arms, condition, how, progress)
            if how.group.leads:
                rows += _rows(base, arms, embeddings, condition, judging)
    if not how.group.leads:
        return None
    return Evaluation(
        trained.folder,
        str(base),
        judging.distance,
        tuple(rows),
        judging.reranking,
        tuple(notes),
        tuple(base.query),
        tuple(base.gallery),
    )


def _arms(
    trained: Trained,
    data: DataSet,
    backends: Sequence[str],
    settings: Sequence[Setting],
    folder: Path,
    how: Extraction,
) -> tuple[list[FeatureSource], list[str]]:
    """Return all sources of event features, the reference first, and notes on them."""
    alone = unspiking_arm(trained.checkpoint.model)
    if alone is not None:
        if backends or any(not setting.trained for setting in settings):
            raise InputError(
                "a model without spikes has no event branch to run or vary",
                where=str(trained.folder),
                hint="leave out --backend and --sweep",
            )
        return [alone], []
    model = trained.events
    assert model is not None  # only models without spikes have none
    chosen = tuple(backends) or (("snntorch",) if model.integer is None else ("loihi",))
    notes = []
    if any(find_backend(name).arithmetic == "exact" for name in chosen):
        part: Part = "train" if data.train else "gallery"
        shown = islice(tracklets(data, part, trained.clip), CALIBRATION)
        model, note = with_integers(model, shown)
        notes += [f"{note} of {part}"] if note else []
    device = how.device or "cpu"
    arms = []
    for setting in settings:
        for name in chosen:
            floats = find_backend(name).arithmetic == "float"
            if floats and replace(setting, bits=Setting().bits) != setting:
                continue  # float weights have no bits
            arms.append(event_arm(model, name, setting, folder=folder, device=device))
    return arms, notes + [arm.note for arm in arms if arm.note and arm.setting.trained]


def _embeddings(
    trained: Trained,
    data: Callable[[int], DataSet],
    arms: Sequence[FeatureSource],
    condition: Condition,
    how: Extraction,
    progress: Progress,
) -> dict[str, Embeddings]:
    """Return embeddings of query and gallery by the arm's label, see `_places`."""
    found: dict[str, Embeddings] = {}
    by_bins: dict[int, list[FeatureSource]] = {}
    for arm in arms:
        by_bins.setdefault(arm.setting.bins or trained.clip.bins, []).append(arm)
    for bins, group in by_bins.items():
        own = data(bins)
        positions, _ = _places(own)
        title = f"{condition}, {bins} bins" if len(by_bins) > 1 else str(condition)
        with progress(title, -(-len(positions) // how.group.size)) as advance:
            found |= extract(
                trained.checkpoint.model,
                condition.of(own),
                positions,
                clip=replace(trained.clip, bins=bins),
                arms=group,
                how=replace(how, on_batch=advance),
            )
    return found


def _rows(
    data: DataSet,
    arms: Sequence[FeatureSource],
    embeddings: dict[str, Embeddings],
    condition: Condition,
    judging: EvaluationSettings,
) -> Iterator[EvaluationRow]:
    _, place = _places(data)
    chosen = [np.array([place[k] for k in part]) for part in (data.query, data.gallery)]
    names = labels(data, "query"), labels(data, "gallery")
    reference: Ranking | None = None
    for arm in arms:
        query, gallery = (embeddings[arm.label][index] for index in chosen)
        ranking = _ranked(distance_blocks(query, gallery, metric=judging.distance), *names)
        reranked = None
        if judging.reranking is not None:
            blocks = rerank_blocks(
                query, gallery, metric=judging.distance, settings=judging.reranking
            )
            reranked = _ranked(blocks, *names).metrics_at(judging.ranks)
        yield EvaluationRow(
            str(condition),
            arm.setting,
            arm.name,
            ranking.metrics_at(judging.ranks),
            ranking,
            None if reference is None else changed_lists(reference, ranking),
            reranked,
        )
        reference = reference or ranking


def _ranked(blocks: Iterator[NDArray[np.float64]], query: Labels, gallery: Labels) -> Ranking:
    return rank_blocks(blocks, query.persons, gallery.persons, query.cameras, gallery.cameras)


def _places(data: DataSet) -> tuple[tuple[int, ...], dict[int, int]]:
    """Return positions to embed, each once though it be query and gallery, and where each comes."""
    positions = tuple(dict.fromkeys((*data.query, *data.gallery)))
    return positions, {position: place for place, position in enumerate(positions)}

"""mAP and CMC of a trained model, its event branch on every backend that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

from sdcl_neuro.hardware import HardwareProfile
from sdcl_neuro.hybrid.composition import kind_of
from sdcl_neuro.hybrid.methods import notes_on
from sdcl_neuro.network.arguments import public

from ..datasets import DataSet
from ..metrics import Ranking, changed_lists
from .deployment import Deployment, cost_notes, deployments
from .extraction import Embeddings, Extraction, extract
from .feature_sources import FeatureSource
from .planning import Condition, DataSource, OpenedData, by_bins, places
from .request import EvaluationRequest, EvaluationSettings
from .result import Evaluation, EvaluationRow
from .setting import Setting
from .store import FeatureStore
from .trained import Trained

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Opens a progress bar, given a title and a total; the function it yields advances it."""


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
    hardware: Sequence[str | Path | HardwareProfile] = (),
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
        hardware: chips by name, TOML file or profile, on which event branches in integers are
            priced.
        judging: see `EvaluationSettings`.
        how: see `Extraction`.
        progress: makes progress bars.

    Returns:
        The evaluation; None in all processes of a group but the first.

    Raises:
        InputError: no query or no gallery, backends or chips for a model without spikes, a setting
            that the model cannot take, tracklets that do not fit it, or an unknown chip.
        EnvironmentFault: a backend or a GPU that is not there.
    """
    return evaluate_request(
        EvaluationRequest(
            trained, data, backends, settings, conditions, hardware,
            judging or EvaluationSettings(), how or Extraction(),
        ),
        progress,
    )  # fmt: skip


def evaluate_request(request: EvaluationRequest, progress: Progress = _silent) -> Evaluation | None:
    """Evaluate; see `evaluate`."""
    trained, judging, how = request.trained, request.judging, request.how
    rows: list[EvaluationRow] = []
    costs: dict[str, Deployment] = {}
    with request.prepared() as ready:
        base, arms = ready.opened.base, ready.arms
        for condition in request.conditions:
            embeddings = embeddings_of(trained, ready.opened, arms, condition, how, progress)
            if how.group.leads:
                costs = costs or deployments(trained, ready.opened, arms, ready.chips, how)
                rows += _rows(base, arms, embeddings, condition, judging, costs, how.store)
    if not how.group.leads:
        return None
    notes = [*notes_on(kind_of(trained.checkpoint.model)), *ready.notes, *cost_notes(costs)]
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


def embeddings_of(
    trained: Trained,
    data: OpenedData,
    arms: Sequence[FeatureSource],
    condition: Condition,
    how: Extraction,
    progress: Progress = _silent,
) -> dict[str, Embeddings]:
    """Return embeddings of query and gallery by the arm's label, see `places`."""
    found: dict[str, Embeddings] = {}
    groups = by_bins(trained, arms)
    for bins, group in groups.items():
        own = data(bins)
        positions, _ = places(own)
        title = f"{condition}, {bins} bins" if len(groups) > 1 else str(condition)
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
    costs: dict[str, Deployment],
    store: FeatureStore,
) -> Iterator[EvaluationRow]:
    reference: Ranking | None = None
    for arm in arms:
        found = judging.rankings(data, embeddings[arm.label], store)
        ranking, reranked = found.plain(), found.reranked()
        yield EvaluationRow(
            str(condition),
            arm.setting,
            arm.name,
            ranking.metrics_at(judging.ranks),
            ranking,
            None if reference is None else changed_lists(reference, ranking),
            None if reranked is None else reranked.metrics_at(judging.ranks),
            costs.get(arm.label),
        )
        reference = reference or ranking

"""What an evaluation is asked for, and what it runs to answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sdcl_neuro.files import scratch_folder
from sdcl_neuro.hardware import HardwareProfile
from sdcl_neuro.network.arguments import public_class
from sdcl_neuro.profiling.api import load_targets

from ..datasets import DataSet
from ..metrics import ReRanking
from ..metrics.distances import Metric
from ..metrics.measures import CMC_RANKS
from .deployment import check_priced
from .extraction import Embeddings, Extraction
from .feature_sources import FeatureSource, check_backends
from .planning import Condition, DataSource, OpenedData, arms_to_run
from .rankings import Rankings
from .setting import Setting
from .store import FeatureStore
from .trained import Trained


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

    def rankings(self, data: DataSet, embeddings: Embeddings, store: FeatureStore) -> Rankings:
        """Return the rankings of embeddings in the order of `places`."""
        return Rankings.of(
            data, embeddings, metric=self.distance, reranking=self.reranking, store=store
        )


@dataclass(frozen=True)
class EvaluationRequest:
    """What is asked for; each attribute as the argument of `evaluate` of its name."""

    trained: Trained
    data: DataSource
    backends: Sequence[str] = ()
    settings: Sequence[Setting] = (Setting(),)
    conditions: Sequence[Condition] = (Condition(),)
    hardware: Sequence[str | Path | HardwareProfile] = ()
    judging: EvaluationSettings = field(default_factory=EvaluationSettings)
    how: Extraction = field(default_factory=Extraction)

    @property
    def base(self) -> DataSet:
        """The data set at the model's own number of bins.

        Raises:
            InputError: no query or no gallery.
        """
        return OpenedData(self.trained, self.data).base

    @contextmanager
    def prepared(self) -> Iterator[Prepared]:
        """Yield what runs, with the files that it needs.

        Raises:
            InputError, EnvironmentFault: as `evaluate`.
        """
        check_backends(self.backends)
        chips = load_targets(self.hardware)
        opened = OpenedData(self.trained, self.data)
        device = self.how.device or "cpu"
        with scratch_folder("sdcl_neuro") as folder:
            arms, notes = arms_to_run(
                self.trained, opened.base, self.backends, self.settings, folder, device
            )
            check_priced(arms, chips)
            yield Prepared(opened, arms, chips, notes)


@dataclass(frozen=True)
class Prepared:
    """What runs.

    Attributes:
        opened: the data set, for every number of bins.
        arms: sources of event features, the reference first.
        chips: on which event branches in integers are priced.
        notes: on the sources.
    """

    opened: OpenedData
    arms: list[FeatureSource]
    chips: Sequence[HardwareProfile]
    notes: list[str]

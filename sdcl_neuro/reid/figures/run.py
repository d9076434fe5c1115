"""All figures of some models, written to a folder with a page and the numbers behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from sdcl_neuro.errors import InputError
from sdcl_neuro.events.tracklets import Tracklet
from sdcl_neuro.files import atomic_folder, write_json
from sdcl_neuro.hybrid.composition import kind_of
from sdcl_neuro.hybrid.methods import notes_on
from sdcl_neuro.snn.event_branch import EventBranch

from ..datasets import Clip, DataSet
from ..evaluation import Extraction, evaluate, open_trained
from ..evaluation.data import choose_data
from ..evaluation.evaluate import Progress
from ..evaluation.trained import Trained
from .cost import CostPoint, cost_figure, cost_of
from .depth import DEPTH, depth_figure, spikes_by_depth
from .drawing import ENDINGS, save_figure
from .maps import feature_maps, maps_figure
from .page import figures_page

SCHEMA = {"name": "sdcl_neuro.figures", "version": 1}
DOCUMENT, REPORT = "figures.json", "report.html"
FIGURES = ("2", "4", "5")
COUNTED = 16
"""Tracklets that figure 4's rates are means over, at most."""


@contextmanager
def unseen(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Return a progress bar that no one sees."""
    del title, total
    yield lambda count: None


@dataclass(frozen=True, eq=False)
class FigureRequest:
    """What is to be drawn, of which data.

    Attributes:
        figures: of `FIGURES`.
        data: as for `choose_data`; each model's own if left out.
        root: of the data set.
        tracklet: name of the one that figure 2 shows; the first query if empty.
        depth: layers of figure 4.
        overrides: of the data's configuration.
        how: embeddings of figure 5.
        progress: makes progress bars.
    """

    figures: tuple[str, ...] = FIGURES
    data: str | None = None
    root: Path | None = None
    tracklet: str = ""
    depth: int = DEPTH
    overrides: tuple[str, ...] = ()
    how: Extraction = field(default_factory=Extraction)
    progress: Progress = unseen

    def __post_init__(self) -> None:
        unknown = [one for one in self.figures if one not in FIGURES]
        if unknown or not self.figures:
            raise InputError(
                f"figures {', '.join(self.figures) or 'none'}",
                where="--only",
                hint=f"give some of {', '.join(FIGURES)}",
            )


@dataclass(frozen=True, eq=False)
class DrawnFigures:
    """What was written.

    Attributes:
        folder: of everything.
        files: names in it, in order.
        numbers: what `DOCUMENT` holds.
    """

    folder: Path
    files: tuple[str, ...]
    numbers: dict[str, Any]

    def __str__(self) -> str:
        lines = [f"{self.folder}: {', '.join(self.files)}"]
        for one in self.numbers["cost"]:
            lines.append(
                f"{one['name']}: mAP {one['mean_ap']:.1%}, {one['parameters']:,} parameters, "
                f"{one['operations'] / 1e9:.3g} G operations a frame"
            )
        return "\n".join([*lines, *self.numbers["notes"]])


def draw_figures(
    folders: Sequence[Path], out: Path, wanted: FigureRequest | None = None
) -> DrawnFigures:
    """Draw what is wanted of each model and write it, all or nothing.

    Args:
        folders: of trained models or training runs.
        out: made if absent; figures of an earlier call in it are replaced.
        wanted: see `FigureRequest`; all figures of each model's own data by default.

    Raises:
        InputError: no model, models of the same name, an unknown tracklet, a folder that holds
            other things, or data that do not fit a model.
        EnvironmentFault: matplotlib is not installed.
    """
    wanted = wanted or FigureRequest()
    check_out(out)
    models = _opened(folders)
    names = list(models)
    with atomic_folder(out.resolve()) as folder:
        files: list[str] = []
        numbers: dict[str, Any] = {"schema": SCHEMA, "models": {}, "cost": [], "notes": []}
        points: list[CostPoint] = []
        described = ""
        for name, trained in models.items():
            data = _data(trained, wanted)
            described = str(data)
            notes = notes_on(kind_of(trained.checkpoint.model))
            numbers["notes"] += [line for line in notes if line not in numbers["notes"]]
            suffix = "" if len(names) == 1 else f"-{name}"
            own = numbers["models"][name] = {"folder": str(trained.folder), "data": described}
            files += _of_one(trained, data, folder, suffix, wanted, own)
            if "5" in wanted.figures:
                points.append(_point(name, trained, data, wanted))
        if points:
            numbers["cost"] = [point.to_dict() for point in points]
            files += _written(cost_figure(points, data=described), folder / "figure5")
        write_json(folder / DOCUMENT, numbers)
        page = figures_page(folder, files, numbers)
        (folder / REPORT).write_text(page, encoding="utf-8")
    return DrawnFigures(out, (*files, DOCUMENT, REPORT), numbers)


def check_out(out: Path) -> None:
    """See that `out` can become a folder of figures without losing anything else.

    Raises:
        InputError: it is a file, or holds more than figures.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise InputError("not a folder", where=str(out), hint="give another folder for --out")
    ours = (DOCUMENT, REPORT)
    other = sorted(
        path.name
        for path in out.iterdir()
        if path.name not in ours
        and not (path.name.startswith("figure") and path.suffix[1:] in ENDINGS)
    )
    if other:
        raise InputError(
            f"holds other files ({other[0]}), and the folder is replaced as a whole",
            where=str(out),
            hint="give a new or an empty folder for --out",
        )


def _opened(folders: Sequence[Path]) -> dict[str, Trained]:
    """Return models by the name of their folder; a run's folder, not its ``model``."""
    found: dict[str, Trained] = {}
    for path in folders:
        trained = open_trained(path)
        folder = trained.folder.resolve()
        name = folder.parent.name if folder.name == "model" else folder.name
        if name in found:
            raise InputError(
                f"two models are named {name!r}",
                where=str(path),
                hint="give folders of different names",
            )
        found[name] = trained
    if not found:
        raise InputError("no model", where="draw_figures", hint="give one or more folders")
    return found


def _data(trained: Trained, wanted: FigureRequest) -> DataSet:
    chosen = choose_data(
        trained, name=wanted.data, root=wanted.root, overrides=list(wanted.overrides)
    )
    opened: Callable[[Clip], DataSet] = cache(chosen.open)
    return opened(trained.clip)


def _of_one(
    trained: Trained,
    data: DataSet,
    folder: Path,
    suffix: str,
    wanted: FigureRequest,
    own: dict[str, Any],
) -> list[str]:
    """Return figures 2 and 4 of one model; what it cannot show is said in `own`."""
    model = trained.checkpoint.model
    files: list[str] = []
    if "2" in wanted.figures:
        shown = data.load(_position(data, wanted.tracklet), trained.clip)
        own["tracklet"] = shown.name
        figure = maps_figure(feature_maps(model, shown))
        files += _written(figure, folder / f"figure2{suffix}")
    if "4" in wanted.figures:
        if isinstance(model.event_branch, EventBranch):
            curve = spikes_by_depth(
                model.event_branch, _some(data, trained.clip), depth=wanted.depth
            )
            own["spikes"] = curve.to_dict()
            files += _written(depth_figure(curve), folder / f"figure4{suffix}")
        else:
            own["spikes"] = None
            own["no_figure_4"] = "the model has no spiking layers"
    return files


def _some(data: DataSet, clip: Clip) -> list[Tracklet]:
    positions = data.gallery or tuple(range(len(data.entries)))
    return [data.load(position, clip) for position in positions[:COUNTED]]


def _position(data: DataSet, name: str) -> int:
    """Return position of a tracklet by name; without one the first query's, or the first of all."""
    if not name:
        return next(iter((*data.query, *data.gallery, 0)))
    names = [entry.name for entry in data.entries]
    if name not in names:
        raise InputError(
            f"no tracklet {name!r} in {data}",
            where="--tracklet",
            hint=f"give one such as {', '.join(names[:3])}",
        )
    return names.index(name)


def _point(name: str, trained: Trained, data: DataSet, wanted: FigureRequest) -> CostPoint:
    """Judge a model and count it."""
    judged = evaluate(trained, data, how=wanted.how, progress=wanted.progress)
    if judged is None:
        raise InputError("figures are drawn by one process", hint="start it without torchrun")
    return cost_of(
        name,
        trained.checkpoint.model,
        judged.rows[0].metrics.mean_ap,
        bins=trained.clip.bins,
        size=trained.clip.size,
    )


def _written(figure: Any, path: Path) -> list[str]:
    return [one.name for one in save_figure(figure, path)]

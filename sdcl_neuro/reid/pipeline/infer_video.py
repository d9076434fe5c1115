"""`compare_tracks`: a checkpoint and a user's own video in, a comparison of its tracks out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from sdcl_neuro.conversion.event_side import load_hybrid
from sdcl_neuro.errors import InputError, number_of
from sdcl_neuro.events.tracklets import write_mot
from sdcl_neuro.files import atomic_folder, write_json
from sdcl_neuro.hybrid.runtime import prefetched
from sdcl_neuro.models import take_checkpoint
from sdcl_neuro.network.arguments import public
from sdcl_neuro.network.backend_names import label

from .comparison import Comparison
from .gallery_hits import GalleryUse, look_up
from .loading import check_means
from .origin import trained_on
from .per_tracklet import per_tracklet
from .recognition import recognition_of
from .session import BATCH, hold_session
from .video import Source, open_footage

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Opens a progress bar, given a title and a total; the function it yields advances it."""


@contextmanager
def no_progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Return a progress bar that no one sees."""
    yield lambda count: None


EMBEDDINGS, DOCUMENT, REPORT = "embeddings.safetensors", "infer.json", "report.html"
TRACKS = "tracks.txt"  # where they were found here


@public
def compare_tracks(
    checkpoint: Path | str | None,
    source: Source,
    *,
    progress: Progress = no_progress,
    say: Callable[[str], None] = lambda line: None,
    backend: str = "loihi",
    device: str | None = None,
    dense_backend: str | None = None,
    hardware: Sequence[str] = ("loihi1", "loihi2"),
    gallery: GalleryUse | None = None,
    false_match_rate: float | None = None,
    one_by_one: bool = False,
) -> Comparison:
    """Cut a video's tracks into tracklets, embed them, and compare.

    Args:
        checkpoint: folder of a whole SDCL; None takes the packaged one, which is said.
        source: the video, its tracks and, where there are any, its events.
        progress: makes progress bars.
        say: prints one line about what begins.
        backend: of the event branch.
        device: of the dense side; None takes a GPU where there is one.
        dense_backend: see `session.hold_session`.
        hardware: profiles to price the event branch on.
        gallery: to search, and to enrol in; what it says comes with the comparison.
        false_match_rate: of one comparison, from which the threshold of "the same person" follows;
            0.01 if left out, where the checkpoint holds an error curve.
        one_by_one: one tracklet a batch, and the figures of each; slower.

    Raises:
        InputError: see `open_footage`; no whole SDCL in `checkpoint`, or one whose event branch
            is not in a chip's integers; an unknown backend or device, a dense backend for another
            device; another model's gallery.
        EnvironmentFault: a backend that is not installed, a GPU that is not there.
    """
    # Everything that can be known to be wrong is looked at before minutes are spent.
    checkpoint, chosen = take_checkpoint(checkpoint)
    check_means(backend, device, dense_backend)
    loaded, events = load_hybrid(checkpoint)
    recognition = recognition_of(loaded, false_match_rate)
    channels = loaded.model.bridge.embedding_size
    maker = "" if gallery is None else gallery.check(checkpoint, channels)
    if source.detection is not None:
        say("finding persons")
    footage = open_footage(
        source, loaded.clip, on_detecting=lambda count: progress("finding persons", count)
    )
    for line in chosen:
        say(f"assumed: {line}")
    say(f"the model: {trained_on(loaded.provenance)}")
    planned = len(footage.plan.windows)
    say(
        f"cutting {number_of(planned, 'tracklet')} of "
        f"{number_of(len(footage.tracks), 'track')}, {footage.origin}"
    )
    say(f"meanwhile hybrid inference, event branch on {label(backend)}")
    batch = 1 if one_by_one else BATCH
    with (
        progress("hybrid inference", planned) as advance,
        prefetched(footage.cut(), ahead=batch) as tracklets,
    ):
        session = hold_session(
            loaded.model,
            events,
            tracklets,
            order=[window.name for window in footage.plan.windows],
            keep_crops=gallery is not None and gallery.keep_crops,
            backend=backend,
            device=device,
            dense_backend=dense_backend,
            hardware=hardware,
            batch=batch,
            on_batch=advance,
        )
    hits = None
    if gallery is not None:
        hits = look_up(gallery, maker, footage, session, backend=backend)
    figures = per_tracklet(session) if one_by_one else None
    origin = trained_on(loaded.provenance)
    return Comparison(footage, session, backend, hits, recognition, origin, figures, chosen)


def check_folder(out: Path) -> None:
    """See that `out` can become a folder of results without losing anything else.

    Raises:
        InputError: it is a file, or holds more than results of an earlier inference.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise InputError("is not a folder", where=str(out), hint="give another folder for --out")
    other = sorted({path.name for path in out.iterdir()} - {EMBEDDINGS, DOCUMENT, REPORT, TRACKS})
    if other:
        raise InputError(
            f"holds other files ({other[0]}), and the folder is replaced as a whole",
            where=str(out),
            hint="give a new or an empty folder for --out",
        )


@public
def write_comparison(comparison: Comparison, out: Path) -> Path:
    """Write embeddings, figures and the report to `out`, all or nothing.

    Args:
        comparison: what to write.
        out: made if absent; results of an earlier inference in it are replaced.

    Returns:
        The report's path.

    Raises:
        InputError: see `check_folder`.
    """
    from .video_page import comparison_page  # with all that draws reports, so not before

    check_folder(out)
    with atomic_folder(out.resolve()) as folder:
        comparison.write_embeddings(folder / EMBEDDINGS)
        write_json(folder / DOCUMENT, comparison.to_dict())
        if comparison.footage.detection is not None:
            write_mot(folder / TRACKS, comparison.footage.tracks)
        (folder / REPORT).write_text(comparison_page(comparison), encoding="utf-8")
    return out / REPORT

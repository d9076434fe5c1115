"""What `evaluate` does once its arguments are read: a part, or all with the ranking."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sdcl_neuro.files import write_json
from sdcl_neuro.processors import settle

from .evaluation_jobs import embed_in_jobs, in_jobs
from .progress import progress_bars

if TYPE_CHECKING:
    from sdcl_neuro.processors import Threads
    from sdcl_neuro.reid.datasets import Clip, DataSet
    from sdcl_neuro.reid.evaluation import (
        Condition,
        Evaluation,
        EvaluationSettings,
        Extraction,
        Setting,
        Trained,
    )


@dataclass(frozen=True)
class EvaluationTask:
    """What the command line asks for."""

    args: argparse.Namespace
    trained: Trained
    opened: Callable[[Clip], DataSet]
    settings: tuple[Setting, ...]
    conditions: tuple[Condition, ...]
    judging: EvaluationSettings
    how: Extraction
    hardware: tuple[str, ...] = ()

    @property
    def backends(self) -> list[str]:
        """Names of `--backend`; empty for the model's own."""
        return self.args.backend.split(",") if self.args.backend else []

    def embed_part(self) -> int:
        """Embed this process's part into the cache, and write how much that was."""
        from sdcl_neuro.devices import torch_threads
        from sdcl_neuro.jobs import Shard
        from sdcl_neuro.reid.evaluation.parts import embed_part

        part, threads = Shard.parse(self.args.part), settle()
        with torch_threads(threads.count):
            done = embed_part(
                self.trained,
                self.opened,
                part,
                how=self.how,
                backends=self.backends,
                settings=self.settings,
                conditions=self.conditions,
                hardware=self.hardware,
            )
        print(done)
        if self.args.json is not None:
            write_json(self.args.json, {**done.to_dict(), "threads": threads.to_dict()})
        return 0

    def evaluate(self) -> int:
        """Have embeddings computed where jobs are asked for; rank, print and write."""
        from sdcl_neuro.devices import torch_threads
        from sdcl_neuro.reid.evaluation import evaluate
        from sdcl_neuro.reid.evaluation.parts import count_batches
        from sdcl_neuro.reid.training.distributed import process_group

        args, threads = self.args, settle()
        if in_jobs(args):
            assert self.how.store.folder is not None  # made by `cache_of`
            batches = count_batches(self.trained, self.opened, batch=self.how.batch)
            embed_in_jobs(args, batches=batches, cache=self.how.store.folder, threads=threads.count)
        with process_group() as group, torch_threads(threads.count):
            result = evaluate(
                self.trained,
                self.opened,
                backends=self.backends,
                settings=self.settings,
                conditions=self.conditions,
                hardware=self.hardware,
                judging=self.judging,
                how=replace(self.how, group=group),
                progress=progress_bars(quiet=args.quiet or not group.leads),
            )
        if result is not None:
            print(result)
            self._write(result, threads)
        return 0

    def _write(self, result: Evaluation, threads: Threads) -> None:
        args = self.args
        if args.json is not None:
            write_json(args.json, {**result.to_dict(), "threads": threads.to_dict()})
        if args.csv is not None:
            result.to_csv(args.csv)
        if args.picture is not None:
            from sdcl_neuro.reid.evaluation.picture import draw_ranked_lists

            data = self.conditions[0].of(self.opened(self.trained.clip))
            draw_ranked_lists(
                args.picture,
                data,
                result.rows[0].ranking,
                self.trained.clip,
                query=result.query,
                gallery=result.gallery,
            )
            print(f"picture: {args.picture}")

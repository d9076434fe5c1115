"""What `evaluate` does once its arguments are read: a part, or all with the ranking."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sdcl_neuro.files import write_json
from sdcl_neuro.processors import settle

from .evaluation_jobs import compute_in_jobs, in_jobs, ranked_apart
from .progress import progress_bars

if TYPE_CHECKING:
    from sdcl_neuro.processors import Threads
    from sdcl_neuro.reid.evaluation import Evaluation
    from sdcl_neuro.reid.evaluation.request import EvaluationRequest


@dataclass(frozen=True)
class EvaluationTask:
    """What the command line asks for."""

    args: argparse.Namespace
    request: EvaluationRequest

    def do_part(self) -> int:
        """Compute this process's part of a stage into the cache, and write how much that was."""
        from sdcl_neuro.devices import torch_threads
        from sdcl_neuro.jobs import Shard
        from sdcl_neuro.reid.evaluation.parts import EMBEDDINGS, embed_part, rank_part

        part, threads = Shard.parse(self.args.part), settle()
        with torch_threads(threads.count):
            if self.args.stage in (None, EMBEDDINGS):
                done = embed_part(self.request, part)
            else:
                done = rank_part(self.request, part, stage=self.args.stage)
        print(done)
        if self.args.json is not None:
            write_json(self.args.json, {**done.to_dict(), "threads": threads.to_dict()})
        return 0

    def evaluate(self) -> int:
        """Have embeddings computed where jobs are asked for; rank, print and write."""
        from sdcl_neuro.devices import torch_threads
        from sdcl_neuro.reid.evaluation.evaluate import evaluate_request
        from sdcl_neuro.reid.training.distributed import process_group

        args, threads = self.args, settle()
        if in_jobs(args):
            self._in_jobs(threads.count)
        with process_group() as group, torch_threads(threads.count):
            result = evaluate_request(
                replace(self.request, how=replace(self.request.how, group=group)),
                progress_bars(quiet=args.quiet or not group.leads),
            )
        if result is not None:
            print(result)
            self._write(result, threads)
        return 0

    def _in_jobs(self, threads: int) -> None:
        """Have embeddings, and rankings of large galleries, computed into the cache."""
        from sdcl_neuro.reid.evaluation.parts import EMBEDDINGS, count_batches, count_blocks

        folder, data = self.request.how.store.folder, self.request.base
        assert folder is not None  # made by `cache_of`
        stages: dict[str, int] = {EMBEDDINGS: count_batches(self.request)}
        if ranked_apart(len(data.query) + len(data.gallery)):
            stages.update(count_blocks(self.request).items())
        compute_in_jobs(self.args, stages, cache=folder, threads=threads)

    def _write(self, result: Evaluation, threads: Threads) -> None:
        args = self.args
        if args.json is not None:
            write_json(args.json, {**result.to_dict(), "threads": threads.to_dict()})
        if args.csv is not None:
            result.to_csv(args.csv)
        if args.picture is not None:
            from sdcl_neuro.reid.evaluation.picture import draw_ranked_lists

            draw_ranked_lists(
                args.picture,
                self.request.conditions[0].of(self.request.base),
                result.rows[0].ranking,
                self.request.trained.clip,
                query=result.query,
                gallery=result.gallery,
            )
            print(f"picture: {args.picture}")

"""`export_onnx`: one part of a model's dense side to an ONNX file that onnxruntime has run."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sdcl_neuro import __version__
from sdcl_neuro.errors import CheckFailed, InputError
from sdcl_neuro.extras import need, require
from sdcl_neuro.files import atomic_path, file_sha256, write_json
from sdcl_neuro.hybrid.sdcl_checkpoint import is_sdcl_checkpoint, load_sdcl
from sdcl_neuro.network.identity import path_sha256, versions, versions_of
from sdcl_neuro.snn.checkpoint import inner_checkpoint

from .parts import BATCH, PARTS, ExportedPart, Port

SCHEMA = {"name": "sdcl_neuro.onnx", "version": 1}
OPSET = 18
TOLERANCE = 1e-4
"""Largest difference from torch, as a share of the output's largest value."""
BATCHES = (1, 3)  # neither is the batch that the exporter sees
SEED = 0
_NEEDED = ("onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True)
class Exported:
    """What was written, and how it compares; prints itself.

    Attributes:
        model, out: the two paths.
        part: one of `PARTS`.
        model_sha256, out_sha256: of the checkpoint's folder and of the file.
        inputs, output: of the graph.
        operators: how often each occurs.
        largest: of the output's values on the random inputs.
        difference: the largest from torch on the same inputs.
        facts: as in the file's metadata.
    """

    model: Path
    out: Path
    part: str
    model_sha256: str
    out_sha256: str
    inputs: tuple[Port, ...]
    output: Port
    operators: Mapping[str, int]
    largest: float
    difference: float
    facts: Mapping[str, Any]

    @property
    def report_path(self) -> Path:
        """Where the account is stored: the output's name with ``.json`` behind it."""
        return self.out.with_name(self.out.name + ".json")

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "schema": dict(SCHEMA),
            "model": {"name": self.model.name, "sha256": self.model_sha256},
            "out": {"name": self.out.name, "sha256": self.out_sha256, "kind": self.part},
            "opset": OPSET,
            "inputs": [port.to_dict() for port in self.inputs],
            "outputs": [self.output.to_dict()],
            "facts": dict(self.facts),
            "operators": dict(self.operators),
            "check": {
                "against": "torch",
                "in": "onnxruntime",
                "batches": list(BATCHES),
                "seed": SEED,
                "largest_value": self.largest,
                "largest_difference": self.difference,
                "tolerance": TOLERANCE * self.largest,
            },
            "versions": versions() | versions_of(*_NEEDED),
        }

    def __str__(self) -> str:
        shapes = [f"  {'in' if port in self.inputs else 'out':3}  {port.name} {_shown(port)}"
                  for port in (*self.inputs, self.output)]  # fmt: skip
        return "\n".join(
            [
                f"{self.model} -> {self.out} ({self.part}), sha256 {self.out_sha256[:16]}",
                *shapes,
                f"  onnxruntime differs from torch by at most {self.difference:.2g}, values up to "
                f"{self.largest:.2g}",
            ]
        )


def export_onnx(checkpoint: Path | str, out: Path | str, *, part: str) -> Exported:
    """Write one part of the dense side as ONNX, and its account beside it; or neither.

    The file is first run by onnxruntime on random inputs and compared with torch.

    Args:
        checkpoint: folder of a whole SDCL.
        out: ends in ``.onnx``.
        part: one of `PARTS`.

    Raises:
        InputError: another ending or part, no whole SDCL, a part that the model does not have.
        EnvironmentFault: the extra ``onnx`` is not installed.
        CheckFailed: onnxruntime's values differ by more than `TOLERANCE`.
    """
    checkpoint, out = Path(checkpoint), Path(out)
    chosen = _chosen(checkpoint, out, part)
    facts = {
        "part": part,
        "checkpoint_sha256": (digest := path_sha256(checkpoint)),
        "sdcl_neuro": __version__,
        "inputs": [port.to_dict() for port in chosen.inputs],
        "outputs": [chosen.output.to_dict()],
        **chosen.facts,
    }
    with atomic_path(out) as temporary:
        operators = write_part(chosen, temporary, facts)
        largest, difference = compare(chosen, temporary)
        if not difference <= TOLERANCE * largest:
            raise CheckFailed(
                f"onnxruntime differs from torch by {difference:.2g}, {TOLERANCE:g} of "
                f"{largest:.2g} is allowed",
                where=str(out),
                hint="report it with the checkpoint; nothing was written",
            )
        done = Exported(
            model=checkpoint,
            out=out,
            part=part,
            model_sha256=digest,
            out_sha256=file_sha256(temporary),
            inputs=chosen.inputs,
            output=chosen.output,
            operators=operators,
            largest=largest,
            difference=difference,
            facts=chosen.facts,
        )
        write_json(done.report_path, done.to_json())
    return done


def _chosen(checkpoint: Path, out: Path, part: str) -> ExportedPart:
    """Return the part, after everything that can be known to be wrong."""
    if part not in PARTS:
        raise InputError(f"unknown part {part!r}", where="--part", hint=f"use {' or '.join(PARTS)}")
    if out.suffix != ".onnx" or out.is_dir():
        raise InputError("not the name of an ONNX file", where=str(out), hint="name it OUT.onnx")
    require(_NEEDED, "writing ONNX")
    if checkpoint.exists() and not is_sdcl_checkpoint(checkpoint):
        inner = inner_checkpoint(checkpoint)
        raise InputError(
            "not the folder of a whole SDCL, which alone has a dense side",
            where=str(checkpoint),
            hint="give a checkpoint folder that holds sdcl.json"
            if inner is None
            else f"its checkpoint is {inner}: give that",
        )
    return PARTS[part](load_sdcl(checkpoint))


def write_part(part: ExportedPart, path: Path, facts: Mapping[str, Any]) -> dict[str, int]:
    """Write a part as ONNX, its batch free, facts in its metadata; how often each operator occurs.

    Texts go into the metadata as they are, everything else as JSON.
    """
    model = _traced(part)
    model.producer_name = "sdcl-neuro"
    model.producer_version = __version__
    for name, value in facts.items():
        entry = model.metadata_props.add()
        entry.key = name
        entry.value = value if isinstance(value, str) else json.dumps(value)
    path.write_bytes(model.SerializeToString())
    kinds = [node.op_type for node in model.graph.node]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}


def _traced(part: ExportedPart) -> Any:
    """Return the part as torch's exporter has it."""
    # Twice as many as the smallest: torch.export takes a batch of one for a constant.
    given = part.sample(2, seed=SEED)
    free = _free(part, torch.export.Dim(BATCH))
    with warnings.catch_warnings(), torch.no_grad():
        # torch's own use of its own deprecated name, that all inputs' batches are one, and that its
        # LSTM puts its list of weights back
        warnings.filterwarnings("ignore", message=r".*LeafSpec", category=FutureWarning)
        warnings.filterwarnings("ignore", message="# The axis name: batch", category=UserWarning)
        warnings.filterwarnings("ignore", message=r".*\._flat_weights\[", category=UserWarning)
        # Traced here: torch.onnx.export would fall back on ways that fix the batch.
        graph = torch.export.export(part.module, given, dynamic_shapes=free, strict=False)
        program = torch.onnx.export(
            graph,
            dynamo=True,
            input_names=[port.name for port in part.inputs],
            output_names=[part.output.name],
            dynamic_shapes=free,
            opset_version=OPSET,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned nothing")
    return program.model_proto


def _free(part: ExportedPart, batch: Any) -> Any:
    axes = tuple({0: batch} for _ in part.inputs)
    return (axes,) if part.name == "bridge" else axes  # *given is one argument


def compare(part: ExportedPart, path: Path) -> tuple[float, float]:
    """Return the output's largest value in torch, and onnxruntime's largest difference, on random
    inputs.

    Infinite where the shape is another or a value is not finite.
    """
    onnxruntime = need("onnxruntime", "comparing an ONNX file")

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    largest = difference = 0.0
    for batch in BATCHES:
        given = part.sample(batch, seed=SEED + batch)
        with torch.no_grad():
            expected = part.module(*given).numpy()
        names = [port.name for port in part.inputs]
        (found,) = session.run(
            None, {name: value.numpy() for name, value in zip(names, given, strict=True)}
        )
        if found.shape != expected.shape or not np.isfinite(found).all():
            return float(np.abs(expected).max()), float("inf")
        largest = max(largest, float(np.abs(expected).max()))
        difference = max(difference, float(np.abs(found - expected).max()))
    return largest, difference


def _shown(port: Port) -> str:
    return str([BATCH, *port.shape]).replace("'", "")

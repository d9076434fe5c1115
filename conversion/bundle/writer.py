"""What a laboratory carries to its board: network, input, expected spikes, and the script to run.

The folder needs nothing of ours: ``run_on_loihi.py`` runs in Lava's own old environment. It is
shipped here as it is, so that it is checked and tested like any other file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdcl_neuro.engine import run_network
from sdcl_neuro.engine.readout import membranes
from sdcl_neuro.errors import InputError, NetworkRefused, Refusal, number_of
from sdcl_neuro.files import atomic_folder, file_sha256, write_json
from sdcl_neuro.files.reading import read_json
from sdcl_neuro.network.arguments import need_path, public
from sdcl_neuro.network.content import Result
from sdcl_neuro.network.identity import array_sha256, network_sha256, versions
from sdcl_neuro.network.notes import ASSUMED, NOT_CHECKED, notes_of
from sdcl_neuro.network.record import Record
from sdcl_neuro.network.spec import IntNetwork
from sdcl_neuro.network.spike_checks import check_given, check_spikes
from sdcl_neuro.network.spike_file import Spikes, SpikesLike, write_spikes

from ..backends.graph_run import pack
from ..backends.lava.backend import clears, needs_fresh_network
from ..model import ModelLike
from ..model_reading import as_model
from ..parity.verify import RandomInput
from ..quantisation.graphs import graph_of
from ..targets.netx.file import from_netx, to_netx
from ..targets.netx.input_neurons import drive

SCHEMA = {"name": "sdcl_neuro.bundle", "version": 3}
SCRIPT = "run_on_loihi.py"
MANIFEST = "manifest.json"
INPUT, EXPECTED = "input.npz", "expected.npz"


@dataclass(frozen=True, eq=False)
class Bundle(Result):
    """A bundle as it was written.

    Attributes:
        folder: where it stands.
        manifest: what ``manifest.json`` says.
        manifest_sha256: of that file, which speaks for all the others.
    """

    folder: Path
    manifest: dict[str, Any]
    manifest_sha256: str

    def __str__(self) -> str:
        run, spikes = self.manifest["run"], self.manifest["spikes"]
        lines = [
            f"{self.folder}: bundle, manifest sha256 {self.manifest_sha256[:16]}",
            f"  input     {number_of(run['steps'], 'step')}, "
            f"{number_of(run['samples'], 'sample')}, "
            f"{spikes['total']:,} spikes, {spikes['source']}",
        ]
        read = {entry["layer"] for entry in self.manifest["readouts"]}
        for index, layer in enumerate(self.manifest["network"]["layers"]):
            if index in read:
                lines.append(f"  expected  {layer['name']}: membranes, never a spike")
                continue
            quiet = "" if layer["spikes"] else ": it proves little, give livelier input"
            lines.append(f"  expected  {layer['name']}: {layer['spikes']:,} spikes{quiet}")
        lines.append(f"  on the board's machine: python {SCRIPT} --board")
        return "\n".join(lines)


@public
def to_bundle(
    model: ModelLike,
    spikes: SpikesLike | Mapping[str, SpikesLike] | RandomInput | None = None,
    folder: Path | str = "bundle",
    *,
    name: str = "network.net",
) -> Bundle:
    """Write a bundle; the whole folder appears, or none.

    Args:
        model: an integer network, a model that has one, or the path of either.
        spikes: uint8 ``[T, B, *input_shape]``, of a graph as its own tensors are, of several
            inputs ``{name: spikes}``; a `RandomInput`; None draws its defaults.
        folder: where to; an older bundle there is replaced, anything else is not.
        name: of the network's file in it.

    Returns:
        The folder, what its manifest says, and the manifest's SHA-256; prints itself.

    Raises:
        NetworkRefused: the network could not run exactly in Lava.
        InputError: no chip integers are known, the spikes do not fit, `folder` is taken.

    Examples:
        >>> from sdcl_neuro import conversion
        >>> from sdcl_neuro.testing import random_network, random_spikes
        >>> net = random_network(0)
        >>> bundle = conversion.to_bundle(net, random_spikes(net, 0), "bundle")
        >>> sorted(path.name for path in bundle.folder.iterdir())
        ['expected.npz', 'input.npz', 'manifest.json', 'network.net', 'run_on_loihi.py']
    """
    folder = need_path(folder, "to_bundle", "name a folder")
    check_bundle_folder(folder)
    given = RandomInput() if spikes is None else spikes
    sample = None if isinstance(given, RandomInput | Mapping) else check_given(given)
    found = as_model(model, sample=sample)
    net = found.need_integer()
    if drive(net) is not None:
        raise NetworkRefused(
            [
                Refusal(
                    "layer 0 (input)",
                    "a bundle's script feeds spikes, and input neurons take counts as their bias",
                    "bundle what lies after them: skip_input=True, or --skip-input",
                )
            ],
            where=found.where,
        )
    random = isinstance(given, RandomInput)
    values = _input(net, given)
    record = run_network(net, values)
    readouts = _readouts(net, values, record)
    with atomic_folder(folder) as temporary:
        to_netx(net, temporary / name)
        # A network is only what its file gives back.
        net = from_netx(temporary / name)
        write_spikes(temporary / INPUT, values)
        _write_expected(temporary / EXPECTED, record, readouts)
        (temporary / SCRIPT).write_bytes(Path(__file__).with_name(SCRIPT).read_bytes())
        files = {file: file_sha256(temporary / file) for file in (name, INPUT, EXPECTED, SCRIPT)}
        counts = [int(record.spikes[index].sum()) for index in range(len(net.layers))]
        manifest: dict[str, Any] = {
            "schema": dict(SCHEMA),
            "network": {"file": name, **_network(net, counts)},
            "readouts": [
                {"layer": layer, "names": names} for layer, (names, _) in readouts.items()
            ],
            "model": {
                "name": name,
                "sha256": files[name],
                "network_sha256": network_sha256(None, net),
            },
            "spikes": {
                "sha256": array_sha256(values),
                "shape": list(values.shape),
                "total": int(values.sum(dtype=np.int64)),
                "source": str(given) if random else "given",
            },
            "run": {
                "steps": values.shape[0],
                "samples": values.shape[1],
                "fresh": needs_fresh_network(net),
                "clear": [list(entry) for entry in clears(net)],
            },
            "files": files,
            "versions": versions(),
            NOT_CHECKED: [note.to_json() for note in notes_of(net.meta, NOT_CHECKED)],
            ASSUMED: [note.to_json() for note in notes_of(net.meta, ASSUMED)],
        }
        write_json(temporary / MANIFEST, manifest)
        digest = file_sha256(temporary / MANIFEST)
    return Bundle(folder, manifest, digest)


def _input(net: IntNetwork, given: SpikesLike | Mapping[str, SpikesLike] | RandomInput) -> Spikes:
    """Return the chain's input, from a graph's own tensors where those are given."""
    account = graph_of(net)
    if isinstance(given, RandomInput):
        return given.draw(net.input_shape)
    if isinstance(given, Mapping):
        if account is None:
            what = "inputs by name for a network that is not a graph"
            raise InputError(what, where="spikes", hint="give one array [T, B, ...]")
        return pack(account, given, net)
    return check_spikes(given) if account is None else pack(account, check_given(given), net)


def _readouts(
    net: IntNetwork, values: Spikes, record: Record
) -> dict[int, tuple[list[str], NDArray[np.int32]]]:
    """Map the layer that holds read-outs to their names, and to all its membranes ``[T, B,
    ...]``.
    """
    account = graph_of(net)
    found: dict[int, tuple[list[str], NDArray[np.int32]]] = {}
    for tensor in () if account is None else account.readouts:
        layer = tensor.parts[0].layer
        if layer in found:
            found[layer][0].append(tensor.name)
            continue
        before = values if layer == 0 else record.spikes[layer - 1]
        whole, _ = membranes(net.layers[layer], before)
        found[layer] = [tensor.name], whole.astype(np.int32)
    return found


def _write_expected(
    path: Path, record: Record, readouts: Mapping[int, tuple[list[str], NDArray[np.int32]]]
) -> None:
    """Write the spikes of every layer, and the membranes of those that are read out."""
    if not readouts:
        write_spikes(path, record)
        return
    arrays: dict[str, NDArray[Any]] = {f"layer_{k}": v for k, v in record.spikes.items()}
    arrays |= {f"membranes_{layer}": whole for layer, (_, whole) in readouts.items()}
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def check_bundle_folder(folder: Path | str) -> None:
    """Refuse a place that holds anything but a bundle's own files.

    ``certificate.json`` and ``recorded.npz`` are a board's answer: a folder with one of them is not
    replaced either.
    """
    folder = Path(folder)
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError("the bundle's place is a file", where=str(folder), hint="name a folder")
    foreign = sorted({entry.name for entry in folder.iterdir()} - set(_own_files(folder)))
    if foreign:
        hint = "name a new folder, or empty this one"
        raise InputError(f"holds {', '.join(foreign[:3])}", where=str(folder), hint=hint)


def _own_files(folder: Path) -> Iterator[str]:
    try:
        manifest = read_json(folder / MANIFEST)
        if manifest["schema"]["name"] == SCHEMA["name"]:
            yield from (MANIFEST, *manifest["files"])
    except (OSError, InputError, LookupError, TypeError):
        return


def _network(net: IntNetwork, counts: list[int]) -> dict[str, Any]:
    layers = [
        {
            "index": index,
            "name": layer.name,
            "kind": layer.kind,
            "shape": list(layer.out_shape),
            "spikes": counts[index],
        }
        for index, layer in enumerate(net.layers)
    ]
    shape = list(net.input_shape)
    return {"input_shape": shape, "message_bits": net.message_bits, "layers": layers}

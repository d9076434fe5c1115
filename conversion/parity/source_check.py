"""What a network carries along of the comparison with its source, bound to a hash of it.

It lies in ``meta["source_checks"]`` as plain JSON, goes through `quantize` into the ``.net``, and
is shown by `verify`, so that a file says what it was compared with when it was made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np

from sdcl_neuro.errors import InputError
from sdcl_neuro.network.identity import array_sha256, network_sha256, versions
from sdcl_neuro.network.notes import NOT_CHECKED, SOURCE_CHECKS, Note, with_notes
from sdcl_neuro.network.spec import FloatNetwork, IntNetwork

from ..lowering.graph.nodes import FloatGraph
from .certificate import PairParity, pair_from_json, pair_to_json

Network = FloatNetwork | IntNetwork | FloatGraph
Net = TypeVar("Net", bound=FloatNetwork | IntNetwork | FloatGraph)

SCHEMA = {"name": "sdcl_neuro.source_check", "version": 1}
DESCRIPTION = "description"
"""What the other side of the pair is called."""
WHAT = "the source"
WITHOUT = Note(WHAT, "the network came without a comparison with what it was described from")
CHANGED = Note(WHAT, "the description was changed after it was compared with its source")
_SOURCES = "sdcl-neuro-sources"
_VERSIONS = ("sdcl-neuro", _SOURCES, "python", "torch", "snntorch", "numpy", "nir")


@dataclass(frozen=True)
class SourceCheck:
    """One comparison of a source with its description.

    Attributes:
        source: what was described, in words: ``snntorch Net``, ``nir model.nir``.
        network_sha256: of the network that it speaks of: the float description, later its
            integers.
        versions: of what took part.
        pair: the comparison, `source` and then `DESCRIPTION`.
    """

    source: str
    network_sha256: str
    versions: Mapping[str, str | None]
    pair: PairParity

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "schema": dict(SCHEMA),
            "source": self.source,
            "network_sha256": self.network_sha256,
            "versions": dict(self.versions),
            "pair": pair_to_json(self.pair),
        }

    @classmethod
    def from_json(cls, value: Any) -> SourceCheck:
        """Return what `to_json` gave.

        Raises:
            InputError: it is something else.
        """
        try:
            if value["schema"] != SCHEMA:
                raise InputError(f"schema {value['schema']} is not {SCHEMA}", hint="convert again")
            return cls(
                source=str(value["source"]),
                network_sha256=str(value["network_sha256"]),
                versions=dict(value["versions"]),
                pair=pair_from_json(value["pair"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            what = f"not a comparison with a source ({error!r})"[:200]
            raise InputError(what, hint="convert the network again") from error


def with_check(net: Net, check: SourceCheck) -> Net:
    """Return the network with a further check; an earlier one of the same source gives way."""
    kept: list[Mapping[str, Any]] = [
        each for each in _stored(net) if each.get("source") != check.source
    ]
    return replace(net, meta={**net.meta, SOURCE_CHECKS: [*kept, check.to_json()]})


def bound_to(meta: Mapping[str, Any], before: Network, after: Network) -> dict[str, Any]:
    """Return the meta of a network made from another, its checks bound to the new one.

    Checks that do not speak of the network they came with are left out, and that is noted.
    """
    old, new = digest_of(before), digest_of(after)
    checks = meta.get(SOURCE_CHECKS)
    if not isinstance(checks, list):
        return dict(meta)
    bound = [
        {**each, "network_sha256": new}
        for each in checks
        if isinstance(each, Mapping) and each.get("network_sha256") == old
    ]
    found = {**meta, SOURCE_CHECKS: bound}
    return found if len(bound) == len(checks) else with_notes(found, NOT_CHECKED, [CHANGED])


def checks_of(*networks: Network | None) -> tuple[list[SourceCheck], list[Note]]:
    """Return the checks that go with a model, and what stays unchecked.

    Args:
        networks: what is known of the model; the first that has checks is asked.

    Returns:
        The checks that speak of the very network they came with; and what is missing, damaged or
        was made by other code than today's.
    """
    present = [net for net in networks if net is not None]
    asked = next((net for net in present if _stored(net)), None)
    if asked is None:
        return [], [WITHOUT]
    digest, today = digest_of(asked), versions()[_SOURCES]
    checks, missing = [], []
    for stored in _stored(asked):
        try:
            check = SourceCheck.from_json(stored)
        except InputError as error:
            missing.append(Note(WHAT, f"its stored comparison is damaged ({error.what})"))
            continue
        if check.network_sha256 != digest:
            why = f"the stored comparison with {check.source} is of another network"
            missing.append(Note(WHAT, why))
            continue
        checks.append(check)
        made = check.versions.get(_SOURCES)
        if made != today:
            why = f"it was compared by other code (sources {made}); convert it again"
            missing.append(Note(f"{check.source}, by today's code", why))
    return checks, missing


def digest_of(net: Network) -> str:
    """Return a hash of all that changes a network's arithmetic."""
    if not isinstance(net, FloatGraph):
        return network_sha256(net)
    digest = hashlib.sha256()
    for node in net.nodes:
        values = {field.name: getattr(node, field.name) for field in fields(node)}
        digest.update(f"{type(node).__name__}\n".encode())
        for name, value in values.items():
            shown = array_sha256(value) if isinstance(value, np.ndarray) else repr(value)
            digest.update(f"{name} {shown}\n".encode())
    return digest.hexdigest()


def _stored(net: Network) -> list[Mapping[str, Any]]:
    found = net.meta.get(SOURCE_CHECKS)
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def versions_of_today() -> dict[str, str | None]:
    """Return versions of what takes part in a comparison with a source."""
    return {name: value for name, value in versions().items() if name in _VERSIONS}

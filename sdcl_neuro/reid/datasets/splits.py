"""The published splits of PRID-2011 and iLIDS-VID, and the MATLAB tables they and MARS come in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sdcl_neuro.errors import InputError
from sdcl_neuro.files.matlab import check_matlab
from sdcl_neuro.files.reading import read_json, reading


@dataclass(frozen=True)
class Split:
    """Names of the persons' folders for training and for testing."""

    train: tuple[str, ...]
    test: tuple[str, ...]


def read_prid_splits(path: Path) -> tuple[Split, ...]:
    """Return the splits of ``splits_prid2011.json``.

    Raises:
        InputError: it is not a list of ``train`` and ``test`` names, or the two overlap.
    """
    try:
        rows = read_json(path, what="splits_prid2011.json")
        splits = tuple(Split(tuple(row["train"]), tuple(row["test"])) for row in rows)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"no list of splits ({type(error).__name__}: {error})",
            where=str(path),
            hint="give the published splits_prid2011.json",
        ) from None
    for number, split in enumerate(splits):
        names = split.train + split.test
        wrong = [name for name in names if not isinstance(name, str) or not person_number(name)]
        if wrong or len(set(names)) < len(names) or not names:
            what = f"name {wrong[0]!r}" if wrong else "a person twice, or no one"
            raise InputError(
                f"split {number} has {what}", where=str(path), hint="give the published file"
            )
    return splits


def read_ilids_splits(path: Path, persons: Sequence[str]) -> tuple[Split, ...]:
    """Return the splits of ``train_test_splits_ilidsvid.mat``, for these folders of persons.

    Raises:
        InputError: no ``ls_set``, or rows that are not an order of all the persons.
    """
    rows = np.asarray(load_table(path, "ls_set"))
    count = len(persons)
    whole = rows.ndim == 2 and all(
        sorted(np.asarray(row).tolist()) == list(range(1, count + 1)) for row in rows
    )
    if not whole:
        raise InputError(
            f"ls_set of shape {rows.shape} does not order the {count} persons of camera 1",
            where=str(path),
            hint="give the published file and all of its persons' folders",
        )
    half = count // 2
    return tuple(
        Split(
            train=tuple(persons[int(k) - 1] for k in sorted(row[half:])),
            test=tuple(persons[int(k) - 1] for k in sorted(row[:half])),
        )
        for row in rows
    )


def load_table(path: Path, name: str) -> Any:
    """Return one variable of a MATLAB file; InputError if it cannot be read or is not there."""
    import scipy.io

    check_matlab(path)
    with reading(path, "a .mat file"):
        content = scipy.io.loadmat(path, variable_names=[name])
    if name not in content or content[name].dtype.kind not in "iuf":
        raise InputError(f"no numbers named {name}", where=str(path), hint="give the real file")
    return content[name]


def chosen_split(splits: Sequence[Split], split: int, root: Path) -> Split:
    """Return one of the splits; InputError if there is no such one."""
    if not 0 <= split < len(splits):
        raise InputError(
            f"split {split} of {len(splits)}",
            where=str(root),
            hint=f"give 0 to {len(splits) - 1}",
        )
    return splits[split]


def person_number(name: str) -> int:
    """Return the number in a person's folder name; 0 if there is none."""
    found = re.fullmatch(r"person_?(\d{1,6})", name)
    return int(found.group(1)) if found else 0

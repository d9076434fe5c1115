"""Ways to damage a file: of bytes, of text, and of the structure that a kind of file has.

Each takes a random generator and the path of a good copy, and changes it in place. All that is
drawn follows from the generator, so a number names an attack for good.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import re
import sqlite3
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Mutation = Callable[[np.random.Generator, Path], None]
EDGES = (
    0,
    1,
    -1,
    127,
    255,
    32767,
    65535,
    2**31 - 1,
    -(2**31),
    2**32 - 1,
    2**62,
    2**63 - 1,
    -(2**63),
)
WORDS = (
    *("nan", "inf", "-inf", "1e400", "-1", "0", "1e18", "99999999999999999999", "9" * 5000),
    *("", "\x1b[2J", "\u202e", "true", "null", '"x"', "[", "{", "0x10", "-0", "1_000", "\x00"),
)
FLAG_ENCRYPTED = 1


def flip(rng: np.random.Generator, path: Path) -> None:
    data = bytearray(path.read_bytes())
    for place in rng.integers(0, max(1, len(data)), int(rng.integers(1, 9))):
        if data:
            data[place] ^= 1 << int(rng.integers(8))
    path.write_bytes(bytes(data))


def truncate(rng: np.random.Generator, path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(rng.integers(0, len(data) + 1))])


def overwrite(rng: np.random.Generator, path: Path) -> None:
    """A number at its edges, in 1 to 8 bytes, in the place of what might be a length."""
    data = bytearray(path.read_bytes())
    size = int(rng.choice([1, 2, 4, 8]))
    # Heads hold the lengths: half of the places lie there.
    reach = min(len(data), 512) if rng.random() < 0.5 else len(data)
    place = int(rng.integers(0, max(1, reach)))
    value = int(EDGES[int(rng.integers(len(EDGES)))]) & (1 << 8 * size) - 1
    data[place : place + size] = value.to_bytes(size, "little" if rng.random() < 0.7 else "big")
    path.write_bytes(bytes(data))


def rearrange(rng: np.random.Generator, path: Path) -> None:
    """Leave a part out, say it twice, fill it with noise or zeros, or put noise between."""
    data = path.read_bytes()
    low, high = sorted(int(n) for n in rng.integers(0, len(data) + 1, 2))
    high = min(high, low + 4096)
    part = data[low:high]
    noise = rng.bytes(len(part))
    new = [b"", part + part, noise, bytes(len(part)), noise + part][int(rng.integers(5))]
    path.write_bytes(data[:low] + new + data[high:])


def words(rng: np.random.Generator, path: Path) -> None:
    """Another word in the place of one, a line twice, none, very deep or very long."""
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    found = list(re.finditer(r"[^\s,=\[\]{}:]+", text))
    choice = int(rng.integers(7))
    if found and choice < 4:
        for one in sorted(rng.choice(len(found), min(3, len(found)), replace=False), reverse=True):
            word = WORDS[int(rng.integers(len(WORDS)))]
            text = text[: found[one].start()] + word + text[found[one].end() :]
    elif choice == 4:
        text += ("[" * 3000) if rng.random() < 0.5 else ("a." * 3000 + "b = 1\n")
    elif choice == 5:
        text = text.replace("\n", " ") + "x" * 100_000
    else:
        lines = text.splitlines(keepends=True)
        place = int(rng.integers(len(lines) + 1))
        text = "".join([*lines[:place], *lines[max(0, place - 1) :]])
    path.write_bytes(text.encode("utf-8", "surrogateescape"))


def tree(rng: np.random.Generator, path: Path) -> None:
    """Another value in the place of one of a JSON document's."""
    document = json.loads(path.read_text("utf-8"))
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        keys = value if isinstance(value, dict) else range(len(value))
        for key in keys:
            places.append((value, key))
            if isinstance(value[key], dict | list):
                walk(value[key])

    walk(document)
    values: list[Any] = [
        None,
        [],
        {},
        "",
        "\x1b[31m" * 50,
        -1,
        0,
        1e308,
        2**80,
        True,
        [[[]]],
        "../x",
    ]
    for _ in range(int(rng.integers(1, 4))):
        if not places:
            break
        owner, key = places[int(rng.integers(len(places)))]
        if rng.random() < 0.2 and isinstance(owner, dict):
            owner.pop(key, None)
        else:
            with contextlib.suppress(IndexError):
                owner[key] = values[int(rng.integers(len(values)))]
    path.write_text(json.dumps(document), "utf-8")


def archive(rng: np.random.Generator, path: Path) -> None:
    """An .npz made again with a member damaged, absent, claimed, encrypted or of another type."""
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    name = list(members)[int(rng.integers(len(members)))]
    choice, flags = int(rng.integers(7)), 0
    if choice == 0:
        del members[name]
    elif choice == 1:
        members[name] = _npy(rng, members[name])
    elif choice == 2:
        flags = FLAG_ENCRYPTED
    elif choice == 3:
        other = np.array([{}], object) if rng.random() < 0.5 else np.array(["\x1b[2J"])
        stream = io.BytesIO()
        np.lib.format.write_array(stream, other, allow_pickle=True)
        members[name] = stream.getvalue()
    elif choice == 4:
        members[name] = members[name][: int(rng.integers(len(members[name])))]
    elif choice == 5:
        members[f"../{name}"] = members[name]
    else:
        data = bytearray(members[name])
        data[int(rng.integers(min(len(data), 120)))] ^= 1 << int(rng.integers(8))
        members[name] = bytes(data)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for member, content in members.items():
            new.writestr(member, content)
    if flags:
        data = bytearray(path.read_bytes())
        for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            at = data.find(mark)
            data[at + place] |= flags
        path.write_bytes(bytes(data))


def _npy(rng: np.random.Generator, content: bytes) -> bytes:
    """An array whose header claims another shape or type."""
    shapes = [(10**9, 4), (-1,), (1 << 40,), (), (2**63, 2), (10**4,) * 8]
    kinds = ["<i8", "|O", "<f8", "|V1000000000", "<U9", "|b1", ">c16", "<M8[s]"]
    header = io.BytesIO()
    description = {
        "descr": kinds[int(rng.integers(len(kinds)))],
        "fortran_order": bool(rng.random() < 0.3),
        "shape": shapes[int(rng.integers(len(shapes)))],
    }
    np.lib.format.write_array_header_1_0(header, description)
    return header.getvalue() + content[128:]


def members(rng: np.random.Generator, path: Path) -> None:
    """A data set, group or attribute of an HDF5 file in another form, or another file's."""
    with h5py.File(path, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        name = names[int(rng.integers(len(names)))]
        item = file[name]
        shape = item.shape if isinstance(item, h5py.Dataset) else (3,)
        FORMS[int(rng.integers(len(FORMS)))](file, name, shape or (1,))


def _elsewhere(file: h5py.File) -> str:
    """Another file, a FIFO: who opens it waits."""
    place = Path(file.filename).with_name("pipe")
    if not place.exists():
        os.mkfifo(place)
    return str(place)


def _vast(file: h5py.File, name: str, shape: tuple[int, ...]) -> None:
    del file[name]
    file.create_dataset(name, tuple(1 << 20 for _ in shape), "f8", chunks=tuple(4 for _ in shape))


def _wide_chunk(file: h5py.File, name: str, shape: tuple[int, ...]) -> None:
    del file[name]
    file.create_dataset(name, (1 << 28,), "u1", chunks=(1 << 28,), compression="gzip")


@functools.cache
def _zeros() -> bytes:
    """400 KiB that become 400 MiB."""
    machine = zlib.compressobj(9)
    part = bytes(4 << 20)
    return b"".join([*(machine.compress(part) for _ in range(100)), machine.flush()])


def _bomb(file: h5py.File, name: str, shape: tuple[int, ...]) -> None:
    """A chunk that unpacks to a thousand times what it declares."""
    del file[name]
    whole = tuple(max(1, n) for n in shape)
    data = file.create_dataset(name, whole, "u1", chunks=whole, compression="gzip")
    data.id.write_direct_chunk(tuple(0 for _ in whole), _zeros())


def _external(file: h5py.File, name: str, shape: tuple[int, ...]) -> None:
    del file[name]
    file.create_dataset(name, shape, "u1", external=[(_elsewhere(file), 0, 1 << 20)])


def _virtual(file: h5py.File, name: str, shape: tuple[int, ...]) -> None:
    del file[name]
    layout = h5py.VirtualLayout(shape=(4,), dtype="u1")
    layout[:] = h5py.VirtualSource(_elsewhere(file), "x", shape=(4,))
    file.create_virtual_dataset(name, layout)


def _external_link(file: h5py.File, name: str, shape: tuple[int, ...]) -> None:
    del file[name]
    file[name] = h5py.ExternalLink(_elsewhere(file), "/x")


def _soft_link(file: h5py.File, name: str, shape: tuple[int, ...]) -> None:
    del file[name]
    file[name] = h5py.SoftLink(f"/{name}")


def _typed(value: Any) -> Callable[[h5py.File, str, tuple[int, ...]], None]:
    def put(file: h5py.File, name: str, shape: tuple[int, ...]) -> None:
        del file[name]
        file[name] = value

    return put


def _empty(file: h5py.File, name: str, shape: tuple[int, ...]) -> None:
    del file[name]
    file[name] = h5py.Empty("f8")


def _gone(file: h5py.File, name: str, shape: tuple[int, ...]) -> None:
    del file[name]


def _cycle(file: h5py.File, name: str, shape: tuple[int, ...]) -> None:
    del file[name]
    file[name] = file["/"]


def _attributes(file: h5py.File, name: str, shape: tuple[int, ...]) -> None:
    for owner in (file, file[name]):
        for key in list(owner.attrs) or ["width", "height", "geometry"]:
            owner.attrs[key] = [np.nan, "\x1b[2J", -1, 2**63 - 1, b"\xff\xfe"][len(key) % 5]


FORMS = (
    *(_vast, _wide_chunk, _bomb, _external, _virtual, _external_link, _soft_link, _empty, _gone),
    *(_cycle, _attributes),
    *(_typed(v) for v in ("\x1b[31mtext", 3, -1.5, np.zeros((0,)), np.zeros((2, 0, 3)))),
    *(_typed(v) for v in (np.full((3, 3), np.nan), np.array([b"\xff" * 9]), np.zeros((1,) * 9))),
    _typed(np.zeros(3, [("t", "i8"), ("x", "u2")])),
    _typed(np.array([2**63 - 1, -(2**63)])),
)


def rows(rng: np.random.Generator, path: Path) -> None:
    """Another value, type or object in an SQLite file."""
    base = sqlite3.connect(path, isolation_level=None)
    try:
        base.execute("PRAGMA writable_schema = ON")
        tables = [
            (name, [row[1] for row in base.execute(f'PRAGMA table_info("{name}")')])
            for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        name, columns = tables[int(rng.integers(len(tables)))]
        column = columns[int(rng.integers(len(columns)))]
        values = [None, b"\xff\xfe", "\x1b[2J", 2**62, -1, 1.5, "", b"", "{" * 2000, "[]"]
        value = values[int(rng.integers(len(values)))]
        other = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"
        fields = ", ".join(f'x AS "{one}"' for one in columns)
        choice = int(rng.integers(6))
        with contextlib.suppress(sqlite3.Error, OverflowError):
            if choice < 3:
                base.execute(f'UPDATE "{name}" SET "{column}" = ?', (value,))
            elif choice == 3:
                base.execute(f'DROP TABLE "{name}"')
            elif choice == 4:
                base.execute(f'DROP TABLE "{name}"')
                base.execute(f'CREATE VIEW "{name}" AS {other[:-15]} SELECT {fields} FROM c')
            else:
                base.execute(f'UPDATE "{name}" SET "{column}" = CAST(x\'fffe41\' AS TEXT)')
    finally:
        base.close()


def tensors(rng: np.random.Generator, path: Path) -> None:
    """A safetensors header that claims another size, offset, type or more."""
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    head = json.loads(data[8 : 8 + length])
    entry = head[list(head)[int(rng.integers(len(head)))]]
    choice = int(rng.integers(5))
    if choice == 0:
        entry["shape"] = [2**40, 2**40]
    elif choice == 1:
        entry["data_offsets"] = [0, 2**62]
    elif choice == 2:
        entry["dtype"] = "F9"
    elif choice == 3:
        head.update({f"t{k}": entry for k in range(2000)})
    text = json.dumps(head).encode()
    size = len(text) if choice < 4 else int(EDGES[int(rng.integers(len(EDGES)))]) & (1 << 64) - 1
    path.write_bytes(struct.pack("<Q", size) + text + data[8 + length :])


BYTES: tuple[Mutation, ...] = (flip, truncate, overwrite, rearrange)
STRUCTURED: dict[str, Mutation] = {
    "text": words,
    "json": tree,
    "zip": archive,
    "hdf5": members,
    "sqlite": rows,
    "safetensors": tensors,
}


def mutate(rng: np.random.Generator, path: Path, kind: str) -> str:
    """Damage a file once or twice; return the names of what was done."""
    done = []
    for _ in range(1 + int(rng.random() < 0.2)):
        structured = STRUCTURED.get(kind)
        chosen = BYTES[int(rng.integers(len(BYTES)))]
        if structured is not None and rng.random() < 0.6:
            chosen = structured
        try:
            chosen(rng, path)
        except Exception as error:
            # The second damage may not find what the first has destroyed.
            done.append(f"{chosen.__name__} ({type(error).__name__})")
            break
        done.append(chosen.__name__)
    return ", ".join(done)

"""Text, .npy and .npz as others write them: headers, marks, units, what float32 has lost."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdcl_neuro.errors import InputError
from sdcl_neuro.events import Events, concatenate, read_events, read_parts

ROWS = [(1_700_000_000_123_456, 3, 4, 1), (1_700_000_000_123_457, 60, 39, 0),
        (1_700_000_001_000_000, 0, 0, 1)]  # fmt: skip
SENSOR = (64, 48)


def found(path: Path, text: str | bytes, **how: Any) -> Events:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    events = read_events(path, sensor=SENSOR, **how)
    assert concatenate(list(read_parts(path, sensor=SENSOR, part_events=1, **how))) == events
    return events


@pytest.mark.parametrize(
    "text",
    [
        "t,x,y,p\n{0}",
        "\ufefft,x,y,p\n{0}",
        '"timestamp","x","y","polarity"\r\n{0}',
        "# t x y p\n{0}",
        "% a remark\n\n  # another, of five, words, in, all\n{0}",
        "timestamp [us], x, y, polarity\n{0}",
        "Timestamp(us);X;Y;Pol\n{0}",
        "time_us\tx\ty\ton\n{0}",
    ],
)
def test_headers_and_marks(tmp_path: Path, text: str) -> None:
    split = next((mark for mark in ",;\t" if mark in text.split("\n")[0]), " ")
    end = "\r\n" if "\r\n" in text else "\n"
    body = end.join(split.join(map(str, row)) for row in ROWS)
    assert found(tmp_path / "a.csv", text.format(body)).array.tolist() == ROWS


def test_more_columns_other_orders_and_words(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    text = "frame,x,y,polarity,time_ns,temperature\n" + "".join(
        f"7,{x},{y},{'True' if p else 'false'},{t * 1000 + 499},21.5\n" for t, x, y, p in ROWS
    )
    events = found(path, text)
    assert events.array.tolist() == ROWS
    assert events.notes == ("columns frame, temperature were left out",)
    text = "".join(f"{x} {y} {'ON' if p else 'off'} {t}\n" for t, x, y, p in ROWS)
    assert found(path, text, columns="xypt").array.tolist() == ROWS
    with pytest.raises(InputError, match=r"look like 'xypt', not 'txyp'.*--columns xypt"):
        found(path, text)
    with pytest.raises(InputError, match="line 1 has 5 numbers, expected 4"):
        found(path, "1 2 3 1 9\n")
    with pytest.raises(InputError, match=r"UTF-16.*UTF-8"):
        found(path, "t,x,y,p\n1,2,3,1\n".encode("utf-16"))


def test_seconds_and_nanoseconds_are_exact(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    seconds = "".join(f"{t // 10**6}.{t % 10**6:06d} {x} {y} {p}\n" for t, x, y, p in ROWS)
    assert found(path, seconds, time_unit_us=1e6).array.tolist() == ROWS
    # Beyond the 53 bits of a float.
    nano = "".join(f"{t * 1000 - 500 + k} {x} {y} {p}\n" for k, (t, x, y, p) in enumerate(ROWS))
    assert found(path, nano, time_unit_us=1e-3).array.tolist() == ROWS
    table = np.array([(t * 1000 + 499, x, y, p) for t, x, y, p in ROWS])
    np.save(tmp_path / "a.npy", table)
    assert read_events(tmp_path / "a.npy", sensor=SENSOR, time_unit_us=1e-3).array.tolist() == ROWS
    with pytest.raises(InputError, match=r"give time_unit_us, or --time-unit"):
        found(path, seconds)
    scientific = "\n".join(f"{t:.18e} {x:.18e} {y:.18e} {p:.18e}" for t, x, y, p in ROWS)
    assert found(path, scientific).array.tolist() == ROWS


def test_nanoseconds_since_1970_are_not_taken_for_microseconds(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("1700000000000000271,1,2,1\n1700000000000002000,3,2,0\n")
    with pytest.raises(InputError, match="looks like nanoseconds since 1970"):
        read_events(path, sensor=SENSOR)
    found = read_events(path, sensor=SENSOR, time_unit_us=1e-3)
    assert found.array["t"].tolist() == [1_700_000_000_000_000, 1_700_000_000_000_002]


def test_a_cut_last_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    whole = "".join(f"{t} {x} {y} {p}\n" for t, x, y, p in ROWS)
    with pytest.raises(InputError, match=r"line 4 has 2 numbers.*--mend drop-tail"):
        found(path, whole + "1700000001000000 3")
    events = found(path, whole + "1700000001000000 3", mend=["drop-tail"])
    assert (events.array.tolist(), dict(events.mended)) == (ROWS, {"drop-tail": 1})
    assert found(path, whole[:-1]).array.tolist() == ROWS


def test_what_float32_has_lost_is_said(tmp_path: Path) -> None:
    t = np.sort(np.random.default_rng(0).uniform(0, 60.0, 20_000))
    p = np.arange(20_000) % 2
    path = tmp_path / "a.npz"
    for kind, told in ((np.float32, True), (np.float64, False), (np.float16, True)):
        np.savez(path, ts=np.sort(t.astype(kind)), xs=p, ys=p, ps=p)
        events = read_events(path, sensor=SENSOR, time_unit_us=1e6)
        assert any("times were stored as float" in note for note in events.notes) == told
        if kind is np.float32:
            assert "known to 3.81 us only" in events.notes[0]
            assert "known to 3.81 us only" in str(events)
    # Once float32, now wider; and what is coarse by itself.
    np.savez(path, ts=np.sort(t.astype(np.float32)).astype(np.float64), xs=p, ys=p, ps=p)
    assert read_events(path, sensor=SENSOR, time_unit_us=1e6).notes
    np.savez(path, ts=np.arange(20_000) * 1024.0, xs=p, ys=p, ps=p)
    assert not read_events(path, sensor=SENSOR, time_unit_us=1).notes
    (note,) = read_events(path, sensor=SENSOR).notes
    assert "taken as microseconds, which the file does not say" in note
    np.savez(path, ts=np.sort((t * 1e6).astype(np.float32)), xs=p, ys=p, ps=p)
    assert "known to 4 us only" in read_events(path, sensor=SENSOR, time_unit_us=1).notes[0]


def test_npz_of_others(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    t, x, y, p = (np.array(column) for column in zip(*ROWS, strict=True))
    for arrays in (
        {"t": t, "x": x, "y": y, "p": p},
        {"timestamps": t, "x_pos": x, "y_pos": y, "polarity": p > 0},
        {"events": np.stack([t, x, y, p], 1), "label": np.array(3)},
        {"event_data": np.array(ROWS, [("t", "i8"), ("x", "u2"), ("y", "u2"), ("p", "i1")])},
        {"t": t, "x": x[:, None], "y": y, "p": 2 * p - 1},
    ):
        np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
        events = read_events(path, sensor=SENSOR)
        assert events.array.tolist() == ROWS
        assert concatenate(list(read_parts(path, sensor=SENSOR))) == events
        with pytest.raises(InputError, match="--sensor"):
            read_events(path)
    np.savez(path, t_ns=t * 1000, x=x, y=y, p=p, width=64, height=48)
    assert read_events(path).array.tolist() == ROWS
    np.savez(path, a=np.zeros((3, 4)), b=np.zeros((3, 4)))
    with pytest.raises(InputError, match="2 arrays that could be events among the arrays a, b"):
        read_events(path)
    np.savez(path, a=np.zeros(3))
    with pytest.raises(InputError, match="no events among the arrays a; give t, x, y and p"):
        read_events(path)
    np.savez(path, t=t, x=x[:2], y=y, p=p)
    with pytest.raises(InputError, match="different lengths"):
        read_events(path, sensor=SENSOR)


def test_a_cut_npy_and_one_in_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    table = np.array(ROWS)
    np.save(path, np.asfortranarray(table))
    assert read_events(path, sensor=SENSOR).array.tolist() == ROWS
    np.save(path, table)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InputError, match="truncated"):
        read_events(path, sensor=SENSOR)
    events = read_events(path, sensor=SENSOR, mend=["drop-tail"])
    assert (events.array.tolist(), dict(events.mended)) == (ROWS[:2], {"drop-tail": 1})


def test_long_text_is_read_in_parts_and_soon(tmp_path: Path) -> None:
    count = 400_000
    rng = np.random.default_rng(1)
    t = np.cumsum(rng.integers(0, 5, count))
    table = np.stack([t, rng.integers(0, 64, count), rng.integers(0, 48, count), t & 1], 1)
    path = tmp_path / "a.txt"
    path.write_text("\n".join(" ".join(map(str, row)) for row in table.tolist()))
    read_events(tmp_path / "a.txt", sensor=SENSOR)  # compiled, and in memory
    begun = time.perf_counter()
    parts = list(read_parts(path, sensor=SENSOR, part_events=10_000))
    assert time.perf_counter() - begun < 2.0
    assert max(map(len, parts)) < 40_000
    whole = concatenate(parts)
    np.testing.assert_array_equal(
        np.stack([whole.array[name].astype(np.int64) for name in "txyp"], 1), table
    )

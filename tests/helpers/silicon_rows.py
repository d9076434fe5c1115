"""Published measurements beside what the model says of the same network: one row each.

A row is *calibration* where a constant of the profile was fitted to it, else *independent*. No
claim rests on calibration rows: that they are contained says only that the fit was done right.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from sdcl_neuro.hardware import HardwareProfile, load_profile
from sdcl_neuro.hardware.placement import Fit, fit
from sdcl_neuro.profiling import Profile, profile
from sdcl_neuro.profiling.energy import energy
from sdcl_neuro.profiling.interval import Interval, figure
from sdcl_neuro.profiling.latency import latency
from sdcl_neuro.profiling.workload import LayerWork, Workload

Use = Literal["calibration", "independent"]
BEGIN, END = "<!-- silicon -->\n", "<!-- end of silicon -->\n"
HEAD = (
    "target", "network", "quantity", "measured", "modelled", "contained", "width", "used as",
    "source and remark",
)  # fmt: skip
WIDEST = 3.0
"""How many times its low end a row's high end may be."""


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        target: profile's name.
        network: what ran.
        quantity: what was measured, with its unit.
        measured: the published figure; a verdict is 1 for yes.
        modelled: what the model says; None where it says nothing.
        use: whether a constant was fitted to it.
        source: where it was published, and why the model misses it, if it does.
    """

    target: str
    network: str
    quantity: str
    measured: float
    modelled: Interval | None
    use: Use
    source: str

    @property
    def contained(self) -> bool | None:
        """Whether the interval holds the measurement; None without an interval."""
        if self.modelled is None:
            return None
        return self.modelled.low <= self.measured <= self.modelled.high

    @property
    def width(self) -> float | None:
        """High end over low end; None without an interval, infinite from zero on."""
        if self.modelled is None:
            return None
        return self.modelled.high / self.modelled.low if self.modelled.low else float("inf")

    @property
    def telling(self) -> bool:
        """Whether the interval is narrow enough for the answer to mean something."""
        return self.width is not None and self.width <= WIDEST

    def cells(self) -> tuple[str, ...]:
        """As the documentation shows it."""
        verdict = {True: "yes", False: "**not contained**", None: "no interval"}[self.contained]
        if self.contained and not self.telling:
            verdict = "too wide to tell"
        width = "-" if self.width is None else f"{self.width:.2f}"
        modelled = "unknown" if self.modelled is None else str(self.modelled)
        return (
            f"`{self.target}`", self.network, self.quantity, figure(self.measured), modelled,
            verdict, width, self.use, self.source,
        )  # fmt: skip


def silicon_table(rows: list[Row]) -> str:
    """All rows as Markdown, and how many of each kind are contained."""
    lines = [f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
    lines += [f"| {' | '.join(row.cells())} |" for row in rows]
    counts = []
    for use in ("independent", "calibration"):
        of_use = [row for row in rows if row.use == use]
        held = sum(row.contained is True and row.telling for row in of_use)
        counts.append(
            f"{held} of {len(of_use)} {use} rows are contained in an interval of at most a factor "
            f"{WIDEST:g}"
        )
    return "\n".join(lines) + f"\n\n{', '.join(counts)}.\n"


@cache
def pilotnet_profile() -> Profile:
    """The rebuilt PilotNet on Loihi 2, in a stream of frames."""
    from helpers.silicon_networks import pilotnet

    net, inputs, record = pilotnet()
    return profile(net, inputs, record=record, hw="loihi2")


def silicon_rows() -> list[Row]:
    """Every row, modelled now."""
    return [
        *_pilotnet(), *_loihi2_others(), *_loihi1(), *_loihi1_temporal(), *_loihi1_compiled(),
        *_truenorth(), *_spinnaker(), *_odin(), *_synsense(),
    ]  # fmt: skip


def _pilotnet() -> Iterator[Row]:
    from helpers.silicon_networks import PILOTNET_STEPS

    notebook = "lava-dl, PilotNet LIF notebook, Oheo Gulch 2023"
    target = pilotnet_profile().targets["loihi2"]
    assert target.fit is not None
    assert target.stream is not None
    measured = {
        "input": 13, "conv0": 25, "conv1": 13, "conv2": 3, "conv3": 3, "conv4": 2, "dense1": 12,
        "dense2": 1, "dense3": 1, "dense4": 1,
    }  # fmt: skip
    whole = target.fit.core_range
    assert whole is not None
    yield _pilot("cores", sum(measured.values()), Interval(*whole), f"{notebook}, compiler's log")
    for layer in target.fit.layers:
        cores = layer.core_range
        assert cores is not None
        source = f"{notebook}, compiler's log"
        yield _pilot(f"cores of {layer.name}", measured[layer.name], Interval(*cores), source)
    yield _pilot("step, us", 152.85, target.latency.stream_step_us, notebook)
    yield _pilot("throughput, frames/s", 408.91, target.latency.throughput_hz, notebook)
    board = "the same notebook on Kapoho Point, 2022: the model's error in time is this difference"
    yield _pilot("throughput, frames/s", 342.29, target.latency.throughput_hz, board)
    dynamic, total = target.stream.dynamic_uj, target.stream.uj
    assert dynamic is not None
    assert total is not None
    step = 1 / PILOTNET_STEPS
    yield _pilot("dynamic energy of a step, uJ", 68.35, dynamic.scaled(step), notebook)
    every = 68.35 + 0.232 * 152.85
    source = f"{notebook}: dynamic, and .232 W over a step"
    yield _pilot("total energy of a step, uJ", every, total.scaled(step), source)


def _pilot(quantity: str, measured: float, modelled: Interval | None, source: str) -> Row:
    return Row("loihi2", "PilotNet LIF", quantity, measured, modelled, "calibration", source)


def _loihi2_others() -> Iterator[Row]:
    from helpers.silicon_networks import oxford

    found = fit(oxford(), "loihi2")
    log = "lava-dl, Oxford notebook, compiler's log of 2022"
    for layer, measured, why in zip(
        found.layers, (2, 3), ("", ": that version had 8184 words a core, not 12,000"), strict=True
    ):
        assert layer.core_range is not None
        cores = Interval(*layer.core_range)
        quantity = f"cores of {layer.name}"
        yield Row("loihi2", "Oxford", quantity, measured, cores, "calibration", f"{log}{why}")
    one = _one_synop()
    why = "Hala Point announcement, 2600 W / 380e12: peak and power of no published run"
    yield Row("hala_point", "none named", "energy of a synop, pJ", 6.8, one, "independent", why)
    times = [
        variant.time["synop"].bounds
        for variant in load_profile("hala_point").variants.values()
        if "synop" in variant.time
    ]
    factor = load_profile("hala_point").variants["oheo_gulch"].time["model_factor"].bounds[1]
    rate = Interval(1 / (max(t[1] for t in times) * factor), 1 / min(t[0] for t in times))
    quantity = "synops of a core, 1e9/s"
    yield Row("hala_point", "none named", quantity, 2.7, rate, "independent", why)


def _one_synop() -> Interval:
    """Dynamic energy of one synaptic operation by itself on Hala Point, in pJ."""
    hw = load_profile("hala_point")
    layer = LayerWork("layer", "dense", 1, 1, 1, 1, False, 0, 0, 1e6, 0)
    work = Workload((layer,), steps=1, inputs=1)
    uj = energy(work, hw, latency(work, hw, step_us=1.0)).dynamic_uj
    assert uj is not None
    return uj


def _loihi1() -> Iterator[Row]:
    from helpers.silicon_networks import keyword_spotter

    paper = "Blouw et al. 2018, ABR's power_benchmarks"
    unknown = "its activity is not published: from no spike to one of every neuron in every step"
    rate, steps = 296.0, 10
    step_us = 1e6 / rate / steps
    found = []
    for firing in (0.0, 1.0):
        net, inputs, record = keyword_spotter(firing)
        result = profile(
            net, inputs, record=record, hw="loihi1", step_us=step_us, rate_hz=rate
        ).targets["loihi1"]
        alone = profile(net, inputs, record=record, hw="loihi1").targets["loihi1"]
        assert result.stream is not None
        assert result.power is not None
        found.append((result.stream, result.power, alone.latency))
    network = "keyword spotter, 390-256-256"
    dynamic = _hull(stream.bounded_dynamic_uj for stream, _, _ in found)
    static = found[0][1].static_uw
    assert static is not None
    power = static.scaled(1e-3) + dynamic.scaled(rate * 1e-3)
    yield Row(
        "loihi1", network, "power at 296 inferences/s, mW", 110, power, "independent",
        f"{paper}; static power is from the same campaign; {unknown}; barriers left out",
    )  # fmt: skip
    yield Row(
        "loihi1", network, "dynamic energy of an inference, uJ", 0.081 / rate * 1e6, dynamic,
        "independent",
        f"{paper}: there all above an idle power of 29 mW counts as dynamic, so the x86 cores do; "
        f"{unknown}",
    )  # fmt: skip
    step = _hull(time.step_us for _, _, time in found)
    yield Row(
        "loihi1", network, "step, us", 336, step, "independent",
        f"{paper}: host and x86 cores feed every step, which `--step-us` replaces; {unknown}",
    )  # fmt: skip


QUARTZ = "Lenz's Quartz on Loihi, NxSDK energy probes in CNN/mnist-EDP-plot.ipynb"
QUARTZ_PROBES = ((650, 26.98331, 16.29122, 63), (170, 11.52862, 40.75026, 84))
"""Steps a sample, dynamic power of the cores in mW, time of a step in us, share of x86 in it."""


def _loihi1_temporal() -> Iterator[Row]:
    """A network in which every neuron fires at most once a sample, so that updates are the cost."""
    from helpers.silicon_networks import temporal_mnist

    unknown = (
        "from no spike to one of every neuron; how many helper neurons the conversion added is "
        "not known: left out"
    )
    for steps, power_mw, step_us, busy in QUARTZ_PROBES:
        found = []
        for firing in (0.0, 1.0):
            net, inputs, record = temporal_mnist(steps, firing)
            found.append(profile(net, inputs, record=record, hw="loihi1").targets["loihi1"])
        assert all(one.stream is not None for one in found)
        dynamic = _hull(one.stream.bounded_dynamic_uj for one in found if one.stream is not None)
        network = f"MNIST by times of spikes, {steps} steps"
        measured = power_mw * step_us * steps * 1e-3
        yield Row(
            "loihi1", network, "dynamic energy of a sample, uJ", measured, dynamic, "independent",
            f"{QUARTZ}, power of the neuron cores; {unknown}",
        )  # fmt: skip
        yield Row(
            "loihi1", network, "step, us", step_us, _hull(one.latency.step_us for one in found),
            "independent",
            f"{QUARTZ}: an x86 core works for {busy} % of it, which `--step-us` replaces",
        )  # fmt: skip
    static = Interval(*load_profile("loihi1").power["static"].bounds)
    yield Row(
        "loihi1", "CIFAR-10 by times of spikes", "static power of a chip, mW",
        (1271.758 + 3.008) / 16, static, "independent",
        "the same, CNN/mnist-EDP-plot-CIFAR.ipynb, 1,753 cores of 16 chips; cores that are off "
        "draw less, which the profile does not know",
    )  # fmt: skip


@cache
def _mobilenet_fit() -> Fit:
    from helpers.silicon_networks import mobilenet

    return fit(mobilenet(), "loihi1")


def _loihi1_compiled() -> Iterator[Row]:
    found = _mobilenet_fit()
    assert found.chips is not None
    yield Row(
        "loihi1", "MobileNet, 128x128", "chips", 16, Interval(found.chips, found.chips),
        "independent",
        "Rueckauer et al. 2021 (NxTF), abstract: 80 % of 16 chips used; here cores are filled "
        "to their limits, which is a lower end",
    )  # fmt: skip


def _spinnaker() -> Iterator[Row]:
    """Two constants of a run; the profile has them from another one."""
    constants = load_profile("spinnaker1").variants["hoeppner2019"].energy
    sharp = (
        "Sharp et al. 2012, abstract; power of four whole chips, idle parts included, which the "
        "profile does not have"
    )
    network = "cortical circuit, 10,000 neurons, 4 M synapses"
    for what, measured, key in (
        ("energy of a synop, nJ", 43.0, "synop"),
        ("energy of a neuron in a step, nJ", 100.0, "neuron_update"),
    ):
        modelled = Interval(*constants[key].bounds).scaled(1e-3)
        yield Row("spinnaker1", network, what, measured, modelled, "independent", sharp)
    yield Row(
        "spinnaker2", "DVS gestures", "energy of a gesture, J", 0.459, None, "independent",
        "Arfa et al. 2025: the whole chip over seconds; its static power is not in the profile",
    )  # fmt: skip


def _odin() -> Iterator[Row]:
    """The chip of docs/how-to/add-a-chip.md, as the page writes it."""
    from helpers.silicon_networks import odin_mnist

    paper = "Frenkel et al. 2019, abstract"
    hw = _odin_profile()
    found = []
    for spikes in (1, 256):
        net, inputs, record = odin_mnist(spikes)
        result = profile(net, inputs, record=record, hw=hw).targets["odin"]
        assert result.stream is not None
        found.append(result.stream.bounded_dynamic_uj)
    yield Row(
        "odin", "MNIST at 16x16, 10 neurons", "energy of an inference, nJ", 15,
        _hull(found).scaled(1e3), "independent",
        f"{paper}, rank order; how many pixels fire is not published: from one to all of them, "
        "static power left out",
    )  # fmt: skip


def _odin_profile() -> HardwareProfile:
    page = Path(__file__).parents[2] / "docs" / "how-to" / "add-a-chip.md"
    text = page.read_text(encoding="utf-8")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "odin.toml"
        path.write_text(text.split("```toml\n")[1].split("```")[0], encoding="utf-8")
        return load_profile(path)


def _truenorth() -> Iterator[Row]:
    hw = load_profile("truenorth")
    neurons, tick_s = 4096 * 256, 1e-3
    for what, measured, rate, fan, use, source in (
        (
            "energy of a synop, all in, pJ", 26.0, 20.0, 128, "independent",
            "Merolla et al. 2014, 20 Hz and 128 synapses a neuron; not an end point of the fit",
        ),
    ):  # fmt: skip
        synops = neurons * rate * tick_s * fan
        layer = LayerWork(
            "chip", "dense", neurons, neurons * 256, 1, fan, False,
            spikes_in=neurons * rate * tick_s, spikes_out=0, synops=synops, updates=neurons,
        )  # fmt: skip
        work = Workload((layer,), steps=1, inputs=1)
        cost = energy(work, hw, latency(work, hw), stream=True)
        assert cost.uj is not None
        modelled = cost.uj.scaled(1e6 / synops)
        yield Row("truenorth", "recurrent networks", what, measured, modelled, use, source)  # type: ignore[arg-type]
    static = Interval(*hw.power["static"].bounds)
    yield Row(
        "truenorth", "object detection, 400x240, 30 frames/s", "power, mW", 63, static,
        "independent",
        "Merolla et al. 2014, abstract; its activity is not published: static power alone",
    )  # fmt: skip
    yield Row(
        "truenorth", "convolutional networks, least of eight", "power, mW", 25, static,
        "independent",
        "Esser et al. 2016, abstract: 25 to 275 mW; a network of few cores is charged its share "
        "of the static power there, the whole chip here",
    )  # fmt: skip


def _synsense() -> Iterator[Row]:
    from helpers.silicon_networks import nmnist_on_speck

    verdict = fit(nmnist_on_speck(), "speck2f").fits
    modelled = None if verdict is None else Interval(float(verdict), float(verdict))
    yield Row(
        "speck2f", "N-MNIST of the NIR paper", "fits (1 is yes)", 1, modelled, "independent",
        "Pedersen et al. 2024: it ran there",
    )  # fmt: skip
    yield Row(
        "speck2e", "gesture and gait networks", "power, mW", 0.70, None, "independent",
        "Yao et al. 2024; no energy of an operation is published, so that the model has none",
    )  # fmt: skip
    yield Row(
        "xylo_audio2", "keyword spotting (Aloha)", "dynamic power, uW", 291, None, "independent",
        "Bos and Muir 2024; the profile has no power of this revision",
    )  # fmt: skip


def _hull(intervals: Iterator[Interval | None]) -> Interval:
    found = [interval for interval in intervals if interval is not None]
    return Interval(min(i.low for i in found), max(i.high for i in found))


def docs_page(root: Path) -> tuple[Path, str]:
    """The page with the table, and how it should read."""
    page = root / "docs" / "energy.md"
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    return page, f"{before}{BEGIN}{silicon_table(silicon_rows())}{END}{after}"

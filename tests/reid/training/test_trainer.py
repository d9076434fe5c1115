"""Training on a tiny generated set: it repeats, learns, and trains in the chip's own integers."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sdcl_neuro.conversion import from_snntorch, quantize
from sdcl_neuro.engine import run_network
from sdcl_neuro.errors import CheckFailed, InputError
from sdcl_neuro.hybrid.bridge import Bridge
from sdcl_neuro.hybrid.model import Sdcl
from sdcl_neuro.reid.datasets import TrackletsInMemory
from sdcl_neuro.reid.training import Augmentation, Settings, Stage, train
from sdcl_neuro.reid.training.logs import TrainingStep
from sdcl_neuro.reid.training.state import read_state


def run(tiny, lessons, settings=None, model=None):
    model = tiny.model() if model is None else model
    return model, train(model, lessons, tiny.clip, settings or tiny.settings)


def test_the_same_seed_gives_the_same_result(tiny, lessons: TrackletsInMemory) -> None:
    models, logs = [], []
    for seed in (4, 4, 5):
        torch.rand(7)  # whatever was drawn before does not matter
        model, log = run(tiny, lessons, replace(tiny.settings, seed=seed))
        models.append(model)
        logs.append(log)
    assert logs[0] == logs[1]
    assert tiny.changed(tiny.state(models[0]), models[1]) == set()
    assert logs[0] != logs[2]


@pytest.mark.parametrize("learns", [True, False])
def test_the_loss_falls_in_float_and_in_integers(
    tiny, lessons: TrackletsInMemory, learns: bool
) -> None:
    settings = tiny.with_stages(
        Stage(steps=20, learning_rate=3e-3, learns_frames=learns),
        Stage(steps=10, learning_rate=1e-3, learns_frames=False),
    )
    model, log = run(tiny, lessons, settings)
    assert [step.mode for step in log] == ["float"] * 20 + ["int"] * 10
    assert [step.step for step in log] == list(range(30))
    losses = np.array([step.loss for step in log])
    assert losses[15:20].mean() < 0.6 * losses[:3].mean()
    assert losses[-5:].mean() < 0.6 * losses[:3].mean()
    assert np.mean([step.accuracy for step in log[-5:]]) > 0.9
    assert all(0 < rate < 1 for step in log for rate in step.rates)
    assert all(len(step.rates) == 2 for step in log)
    assert all(step.loss == pytest.approx(step.cross_entropy + step.triplet) for step in log)
    assert not any(module.training for module in model.modules())


def test_the_integer_stage_trains_in_the_chips_integers(
    tiny, lessons: TrackletsInMemory, spikes_of
) -> None:
    model = tiny.model()
    branch = model.event_branch
    assert branch.scales == (0, 0)
    before = tiny.state(branch)
    run(tiny, lessons, tiny.with_stages(None, Stage(steps=3, learning_rate=3e-3)), model)
    assert branch.mode == "int"
    assert min(branch.scales) > 0
    assert {"synapses.0.weight", "synapses.1.weight"} <= tiny.changed(before, branch)
    spikes = spikes_of(lessons)
    chip = quantize(from_snntorch(branch, spikes))
    record = run_network(chip, spikes.numpy().astype(np.uint8))
    with torch.no_grad():
        layers = branch(spikes)
    for index, layer in enumerate(layers):
        assert layer.sum() > 1000
        assert np.array_equal(layer.numpy().astype(np.uint8), record.spikes[index])


def test_scales_are_chosen_once(tiny, lessons: TrackletsInMemory) -> None:
    model, _ = run(tiny, lessons, tiny.with_stages(None, Stage(steps=1)))
    scales = model.event_branch.scales
    again = tiny.with_stages(None, Stage(steps=2, learning_rate=1e-2))
    run(tiny, lessons, replace(again, firing_rate=0.0), model)
    assert model.event_branch.scales == scales


def test_the_event_branch_is_brought_to_its_rate(
    tiny, lessons: TrackletsInMemory, spikes_of
) -> None:
    still = Stage(steps=1, learning_rate=1e-12)
    _model, log = run(tiny, lessons, replace(tiny.with_stages(still), firing_rate=0.2))
    assert log[0].rates == pytest.approx((0.2, 0.2), abs=0.03)


def test_few_events_do_not_blow_the_weights_up(tiny, lessons: TrackletsInMemory) -> None:
    """Weights that outgrow the threshold would leave it no integer; none at all change nothing."""
    said: list[str] = []
    for share, word in ((0.00002, "begins at"), (0.0, "no events")):
        few = []
        for one in lessons.entries:
            kept = np.random.default_rng(len(few)).random(one.spikes.shape) < share
            few.append(replace(one, spikes=kept.astype(np.uint8)))
        model = tiny.model()
        settings = tiny.with_stages(None, Stage(steps=1))
        train(model, tiny.held(few), tiny.clip, settings, say=said.append)
        assert word in said.pop()
        assert all(neuron.integer_neuron().threshold > 10 for neuron in model.event_branch.neurons)


def test_a_frozen_frame_branch_does_not_change(tiny, lessons: TrackletsInMemory) -> None:
    model = tiny.model()
    frames, bridge = tiny.state(model.frame_branch), tiny.state(model.bridge)
    run(tiny, lessons, model=model)
    assert tiny.changed(frames, model.frame_branch) == set()
    parameters = list(model.frame_branch.parameters())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in parameters)
    assert tiny.changed(bridge, model.bridge)


def test_a_learning_frame_branch_changes_weights_and_statistics(
    tiny, lessons: TrackletsInMemory
) -> None:
    model = tiny.model()
    frames = tiny.state(model.frame_branch)
    run(tiny, lessons, tiny.with_stages(Stage(steps=1)), model)
    assert tiny.changed(frames, model.frame_branch) == set(frames)


def test_maps_of_a_frozen_frame_branch_are_those_it_gives(tiny, lessons: TrackletsInMemory) -> None:
    """Kept maps, and maps computed again each time, come to the same bit."""
    kept, log = run(tiny, lessons)
    again, other = run(tiny, lessons, replace(tiny.settings, cache_mib=0))
    assert log == other
    assert tiny.changed(tiny.state(kept), again) == set()


def test_kept_maps_see_the_frame_branch_as_it_is(tiny, lessons: TrackletsInMemory) -> None:
    """A frozen stage behind a learning one does not see maps from before."""
    settings = tiny.with_stages(
        Stage(steps=4, learning_rate=1e-2), Stage(steps=2, learns_frames=False)
    )
    _kept, log = run(tiny, lessons, settings)
    _anew, other = run(tiny, lessons, replace(settings, cache_mib=0))
    assert log == other


def test_the_rate_warms_up_and_decays(tiny, lessons: TrackletsInMemory) -> None:
    stage = Stage(steps=9, learning_rate=1e-3, warm_up=2, decay_every=4, decay=0.1)
    _, log = run(tiny, lessons, tiny.with_stages(stage))
    expected = [5e-4, *[1e-3] * 3, *[1e-4] * 4, 1e-5]
    assert [step.learning_rate for step in log] == pytest.approx(expected)


def test_epochs_show_every_person_once(tiny, lessons: TrackletsInMemory) -> None:
    """Three persons, two a batch: two steps an epoch; warm-up and decay count in epochs."""
    stage = Stage(epochs=3, learning_rate=1e-3, warm_up=1, decay_every=2)
    settings = replace(tiny.with_stages(stage), persons=2)
    _, log = run(tiny, lessons, settings)
    assert [step.epoch for step in log] == [0, 0, 1, 1, 2, 2]
    expected = [5e-4, 1e-3, 1e-3, 1e-3, 1e-4, 1e-4]
    assert [step.learning_rate for step in log] == pytest.approx(expected)


@pytest.mark.parametrize("inputs", ["e", "v"])
def test_one_side_alone_trains(tiny, lessons: TrackletsInMemory, inputs: str) -> None:
    model = tiny.model(replace(tiny.config, inputs=inputs, fusion="none"))
    before = tiny.state(model)
    stage = Stage(steps=8, learning_rate=3e-3)
    _, log = run(tiny, lessons, tiny.with_stages(stage, Stage(steps=2)), model)
    assert log[7].loss < log[0].loss
    assert len(log[0].rates) == (2 if inputs == "e" else 0)
    assert tiny.changed(before, model)


def test_workers_change_nothing(tiny, lessons: TrackletsInMemory) -> None:
    """Neither their number, nor that variants are kept beside them."""
    settings = replace(
        tiny.settings, augmentation=Augmentation(), float_stage=Stage(steps=4), variants=0
    )
    for variants, several in ((0, 1), (3, 2)):
        logs = []
        for workers in (0, several):
            _model, log = run(tiny, lessons, replace(settings, variants=variants, workers=workers))
            logs.append(log)
        assert logs[0] == logs[1]


def test_reduced_precision_leaves_the_spikes_exact(tiny, lessons: TrackletsInMemory) -> None:
    """In float and in integers the event branch fires the same; only the dense parts are coarse."""
    for settings in (
        tiny.with_stages(Stage(steps=1)),
        tiny.with_stages(None, Stage(steps=1, learns_frames=False)),
    ):
        _, exact = run(tiny, lessons, settings)
        _, coarse = run(tiny, lessons, replace(settings, precision="bfloat16"))
        assert coarse[0].rates == exact[0].rates
        assert coarse[0].loss != exact[0].loss
        assert coarse[0].loss == pytest.approx(exact[0].loss, rel=0.05)


def test_validation_sees_persons_that_are_not_learnt(tiny, lessons: TrackletsInMemory) -> None:
    more = [*lessons.entries, *(tiny.tracklet(person, n) for person in (3, 4) for n in range(2))]
    settings = replace(tiny.with_stages(Stage(steps=4)), validate_every=2, validation_persons=2)
    model, log = run(tiny, tiny.held(more), settings)
    assert [step.validation is None for step in log] == [True, False, True, False]
    mean_ap, rank1 = log[1].validation
    assert 0 < mean_ap <= 1
    assert 0 <= rank1 <= 1
    plain, other = run(tiny, lessons, tiny.with_stages(Stage(steps=4)))
    assert [step.loss for step in log] == [step.loss for step in other]
    assert tiny.changed(tiny.state(model), plain) == set()


def test_what_cannot_be_trained_is_refused(tiny, lessons: TrackletsInMemory) -> None:
    model = tiny.model()
    before = tiny.state(model)
    with pytest.raises(InputError, match="0 persons to train on"):
        run(tiny, tiny.held([]), model=model)
    stranger = replace(lessons.entries[0], person=99)
    with pytest.raises(InputError, match=r"4 persons for 3 classes.*identities=4"):
        run(tiny, tiny.held([*lessons.entries, stranger]), model=model)
    with pytest.raises(InputError, match="batches of 4"):
        run(tiny, lessons, replace(tiny.settings, persons=4), model=model)
    assert tiny.changed(before, model) == set()
    with pytest.raises(InputError, match="was cut as"):
        train(model, lessons, replace(tiny.clip, bins=1), tiny.settings)


def test_a_loss_that_is_no_number_ends_the_training(tiny, lessons: TrackletsInMemory) -> None:
    model = tiny.model()
    with torch.no_grad():
        model.bridge.heads[0].classifier.weight.fill_(float("nan"))
    with pytest.raises(CheckFailed, match="the loss is nan at step 0; lower the learning rate"):
        run(tiny, lessons, model=model)


def test_a_model_without_an_event_branch_is_told(tiny, lessons: TrackletsInMemory) -> None:
    with pytest.raises(InputError, match="event_features"):
        run(tiny, lessons, model=Sdcl(tiny.model().frame_branch, None, bridge=Bridge(tiny.config)))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: Settings(persons=1), "training settings: persons is 1; give a whole number from"),
        (lambda: Settings(margin=float("nan")), "margin is nan; give a number from 0"),
        (lambda: Settings(precision="half"), "precision is 'half'; give one of auto"),
        (lambda: Settings(device="tpu"), "device is 'tpu'"),
        (lambda: Settings(float_stage=Stage(), int_stage=Stage()), "no stage has epochs or steps"),
        (lambda: Settings(validate_every=5), "of no persons; give 2 or more"),
        (lambda: Stage(epochs=1, steps=1), "1 epochs and 1 steps; give its length in one"),
        (lambda: Stage(learning_rate=0), "learning_rate is 0; give a number above 0"),
        (lambda: Augmentation(kinds=("fog",)), "kinds is"),
        (lambda: Augmentation(severity=(3, 2)), "severity is"),
        (lambda: Augmentation(flip=True), "flip is True"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(wrong, said: str) -> None:
    with pytest.raises(InputError) as caught:
        wrong()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("asked_at", [0, 3])
def test_one_who_asks_behind_a_step_gets_the_next_one_saved(
    tiny, lessons: TrackletsInMemory, tmp_path: Path, asked_at: int
) -> None:
    """Step 0 is not saved by itself, so the next one is; step 3 is, as every second one."""
    said: list[str] = []

    def on_step(step: TrainingStep) -> None:
        if step.step == asked_at:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(
            tiny.model(), lessons, tiny.clip, tiny.settings,
            folder=tmp_path, on_step=on_step, say=said.append,
        )  # fmt: skip
    state = read_state(tmp_path / "state")
    assert state is not None
    assert state.step == (2 if asked_at == 0 else 4)
    assert "the state is saved" in said[-1]

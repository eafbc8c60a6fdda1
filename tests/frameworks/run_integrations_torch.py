"""Integrations with real trainers: each property of a held decay, in each of them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from frameworks.loops import of_accelerate, of_lightning, of_transformers
from frameworks.loops.net import EPOCHS, Recipe
from tolerance import digits

from dwindle.errors import MissingFactError, UnknownNameError

torch.set_num_threads(1)
LOOPS = {
    "transformers": of_transformers.train,
    "lightning": of_lightning.train,
    "accelerate": of_accelerate.train,
}
HALF_LIVES = {  # as given, in steps: 15 of a run, 5 of an epoch, 4 examples each
    "2 epochs": 10,
    "7.5 steps": 7.5,
    "50 examples": 12.5,
    "40% of the run": 6,
    "400 tokens": 5,
}
pytestmark = [
    pytest.mark.filterwarnings("default"),  # other people's libraries
    pytest.mark.parametrize("loop", LOOPS),
]
# property: loops in which all its tests passed; shown with -s when all were run
PASSED = {}


@pytest.fixture(autouse=True)
def recorded(request, loop):
    """Keep what passed, for the table of integrations and properties."""
    failed = request.session.testsfailed
    yield
    passed = request.session.testsfailed == failed
    before = PASSED.setdefault(request.function.__doc__, {})
    before[loop] = before.get(loop, True) and passed


@pytest.fixture(scope="module", autouse=True)
def shown():
    """Print the table of integrations and properties after the last test."""
    yield
    for sentence, loops in PASSED.items():
        cells = [f"{loop} {'yes' if loops[loop] else 'NO'}" for loop in loops]
        sys.stdout.write(f"{', '.join(cells)}: {sentence.splitlines()[0]}\n")


@pytest.mark.parametrize("half_life", HALF_LIVES)
def test_on_every_clock(loop, half_life, tmp_path):
    """A weight with zero gradient keeps what the half-life predicts, at every lr."""
    facts = {"tokens_per_example": 20} if "tokens" in half_life else {}
    seen = LOOPS[loop](Recipe(half_life=half_life, facts=facts), tmp_path)
    assert len(seen.lrs) == 5 * EPOCHS
    # 1e-6: fp32 weights, rounded once per step
    assert seen.kept == digits(seen.expected(HALF_LIVES[half_life]), rel=1e-6)
    assert seen.kept < 0.6


@pytest.mark.parametrize(("schedule", "power"), [("constant", 0), ("lr-squared", 2)])
def test_on_every_schedule(loop, schedule, power, tmp_path):
    """Under constant the lr does not matter, under lr-squared it does twice."""
    seen = LOOPS[loop](Recipe(schedule=schedule), tmp_path)
    assert seen.kept == digits(seen.expected(10, power=power), rel=1e-6)


@pytest.mark.parametrize("optimizer", ["AdamW", "SGD", "Adam"])
@pytest.mark.parametrize(("schedule", "power"), [("follow-lr", 1), ("constant", 0)])
def test_warm_up_from_zero(loop, optimizer, schedule, power, tmp_path):
    """A first step at lr 0 is no trouble, native or multiplied."""
    recipe = Recipe(warm_up=6, schedule=schedule, optimizer=optimizer)
    seen = LOOPS[loop](recipe, tmp_path)
    assert seen.lrs[0] == 0
    assert seen.kept == digits(seen.expected(10, power=power), rel=1e-6)


def test_accumulation(loop, tmp_path):
    """An epoch of 5 batches is 3 steps of up to 2: the short one is a step too."""
    seen = LOOPS[loop](Recipe(accumulation=2), tmp_path)
    assert len(seen.lrs) == 3 * EPOCHS
    assert seen.kept == digits(seen.expected(6), rel=1e-6)


def test_an_epoch_is_what_the_loop_makes_of_it(loop, tmp_path):
    """Where the short last batch is dropped, so it is for the half-life."""
    seen = LOOPS[loop](Recipe(drop_last=True, examples=18), tmp_path)
    assert len(seen.lrs) == 4 * EPOCHS
    assert seen.kept == digits(seen.expected(8), rel=1e-6)


@pytest.mark.parametrize("optimizer", ["AdamW", "SGD"])
@pytest.mark.parametrize(("accumulation", "step"), [(1, 7), (2, 4)])
def test_resumed_in_the_middle(loop, optimizer, accumulation, step, tmp_path):
    """Saved in the middle of an epoch and resumed: bit for bit the same run."""
    alike = {"optimizer": optimizer, "accumulation": accumulation, "warm_up": 3}
    whole = LOOPS[loop](Recipe(**alike, save_at=step), tmp_path)
    resumed = LOOPS[loop](Recipe(**alike, resume_from=step), tmp_path)
    assert resumed.lrs == whole.lrs[step:]
    for name, weight in whole.net.named_parameters():
        assert torch.equal(weight, resumed.net.get_parameter(name)), name
    for number in ("steps_done", "e_folds", "half_life_steps"):
        there = getattr(resumed.controller, number)
        assert there == getattr(whole.controller, number)


SAVED = {  # where each library writes the optimizer's state
    "transformers": lambda folder: _read(folder / "checkpoint-7" / "optimizer.pt"),
    "lightning": lambda folder: _read(folder / "at-step=7.ckpt")["optimizer_states"][0],
    "accelerate": lambda folder: _read(folder / "at-7" / "optimizer.bin"),
}


def _read(path):
    return torch.load(path, weights_only=False)  # a file of this very test


@pytest.mark.parametrize("optimizer", ["AdamW", "SGD", "Adam"])
def test_a_saved_optimizer_decays_as_it_was_typed(loop, optimizer, tmp_path):
    """The file has the weight_decay of the user, not that of the last step."""
    recipe = Recipe(optimizer=optimizer, groups="two", weight_decay=0.3, save_at=7)
    seen = LOOPS[loop](recipe, tmp_path)
    groups = SAVED[loop](tmp_path)["param_groups"]
    assert [group["weight_decay"] for group in groups] == [0.3, 0]
    assert seen.kept == digits(seen.expected(10), rel=1e-6)


def test_a_stream_has_no_epoch(loop, tmp_path):
    """An unknown fact is an error that names the argument of what was called."""
    called = "hold_decay" if loop == "accelerate" else "DecayCallback"
    with pytest.raises(MissingFactError, match=rf"{called}\(dataset_size=\.\.\.\)"):
        LOOPS[loop](Recipe(stream=True), tmp_path)


def test_a_stream_with_a_given_size(loop, tmp_path):
    """What the user gives completes what the loop knows."""
    seen = LOOPS[loop](Recipe(stream=True, facts={"dataset_size": 24}), tmp_path)
    assert seen.kept == digits(seen.expected(12), rel=1e-6)


# what is given against what the loop has: batches of 4, 20 examples, 15 steps
@pytest.mark.parametrize(
    ("half_life", "facts", "steps", "message"),
    [
        ("2 epochs", {"dataset_size": 40}, 20, "dataset_size is 40 .* and 20 as the"),
        ("2 epochs", {"batch_size": 10}, 4, "batch_size is 10 .* and 4 as the loop"),
        ("2 epochs", {"batch_size": "10"}, 4, "batch_size is 10 .* and 4 as the loop"),
        ("20% of the run", {"epochs": 6}, 6, "epochs=6, in steps, is 30 .* and 15 as"),
        ("20% of the run", {"epochs": None, "steps": 30}, 6, "steps is 30 .* and 15 "),
    ],
)
def test_the_user_is_believed(loop, half_life, facts, steps, message, tmp_path, caplog):  # noqa: PLR0913, PLR0917
    """A fact that the user gives counts, and one line names that of the loop too."""
    seen = LOOPS[loop](Recipe(half_life=half_life, facts=facts), tmp_path)
    assert seen.kept == digits(seen.expected(steps), rel=1e-6)
    lines = [each for each in caplog.messages if "was given" in each]
    # A custom loop does not know how long it is.
    if loop == "accelerate" and "run" in half_life:
        assert lines == []
    else:
        (line,) = lines
        assert re.search(message, line)


@pytest.mark.parametrize(
    "facts", [{}, {"batch_size": 8}, {"dataset_size": 20}, {"epochs": 3}]
)
def test_the_same_number_is_no_contradiction(loop, facts, tmp_path, caplog):
    """What the loop knows as well may be given, without a warning."""
    LOOPS[loop](Recipe(accumulation=2, facts=facts), tmp_path)
    assert "was given" not in caplog.text


def test_a_slip_in_the_half_life(loop, tmp_path):
    """A number without a clock is refused before anything runs."""
    with pytest.raises(UnknownNameError) as raised:
        LOOPS[loop](Recipe(half_life="3"), tmp_path)
    assert (raised.value.kind, raised.value.name) == ("clock", "")


@pytest.mark.parametrize("overflow", [(), (2, 7)], ids=["none", "two steps"])
@pytest.mark.parametrize("fused", [False, True], ids=["unfused", "fused"])
def test_steps_that_overflowed(loop, fused, overflow, tmp_path):
    """Under a loss scale, a skipped step neither decays nor counts."""
    recipe = Recipe(scaler="fused" if fused else "unfused", overflow_at=overflow)
    seen = LOOPS[loop](recipe, tmp_path)
    assert seen.controller.steps_done == 15 - len(overflow)
    assert seen.kept == digits(seen.expected(10), rel=1e-6)


def test_half_precision_under_autocast(loop, tmp_path):
    """With bf16 in the layers and fp32 in the weights, the decay is that of fp32."""
    seen = LOOPS[loop](Recipe(bf16=True), tmp_path)
    assert seen.kept == digits(seen.expected(10), rel=1e-6)


def test_a_penalty(loop, tmp_path):
    """A penalty is held in SGD's own way: through its momentum."""
    recipe = Recipe(half_life=None, optimizer="SGD", facts={"penalty": 0.1})
    seen = LOOPS[loop](recipe, tmp_path)
    assert seen.controller.mechanisms == ("penalty",)
    weight, buffer = 1.0, 0.0
    for lr in seen.lrs:
        buffer = 0.9 * buffer + 0.1 * weight
        weight -= lr * buffer
    assert seen.kept == digits(weight, rel=1e-6)


@pytest.fixture(scope="module")
def in_two_processes(tmp_path_factory):
    """What each of two processes saw, for every loop."""
    folder, here = tmp_path_factory.mktemp("two"), Path(__file__).parent
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2"]
    command += ["--standalone", here / "loops/two_processes.py", folder]
    paths = os.pathsep.join([os.environ["PYTHONPATH"], str(here.parent)])
    surroundings = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, env=surroundings, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def test_two_processes(loop, in_two_processes):
    """Each process has other batches: an epoch is 3 steps of 8 examples."""
    for process in in_two_processes:
        seen = process[loop]
        assert seen["half_life_steps"] == 6
        assert len(seen["lrs"]) == 3 * EPOCHS
        assert seen["kept"] == digits(seen["expected"], rel=1e-6)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_biases_stay_where_a_trainer_put_them_apart(loop, weight_decay, tmp_path):
    """Of a group that decays and one of biases that does not, only the first is held.

    With 0 for both, a trainer's model distinguishes them; a custom loop has none.
    """
    seen = LOOPS[loop](Recipe(groups="two", weight_decay=weight_decay), tmp_path)
    alone = "native" if loop == "accelerate" and not weight_decay else "left alone"
    assert seen.controller.mechanisms == ("native", alone)

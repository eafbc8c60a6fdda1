"""Small scales are searched, and their law predicts a large one."""

import math
import random
from dataclasses import dataclass, field, replace

import pytest
from cli.lines import as_json, error_of, run
from finding.formula import Formula, loss_of, search
from findings.simulated_study import simulated_findings, study_spec
from scipy.stats import binomtest
from syrupy.assertion import SnapshotAssertion

from dwindle.errors import (
    RangeError,
    StudyStoppedError,
    UnknownNameError,
    UsageError,
)
from dwindle.finding.driver import Settings, run_search
from dwindle.finding.found import found_of
from dwindle.show import as_text
from dwindle.stats.law import BEND, SPREAD
from dwindle.tuning.cells import cells_in, cells_of_study
from dwindle.tuning.face import plan_cells, predict, run_tune, tune
from dwindle.tuning.tuned import tuned_of

TARGET = {"width": 1024.0}
CELLS = plan_cells({"width": (64, 128, 256)}, TARGET, {})


@dataclass
class Planted(Formula):
    """A training whose best decay follows a power of the width."""

    exponent: float = -0.5
    luck: int = 0
    off: dict = field(default_factory=dict)  # of ln best from the law, by width

    def loss_at(self, request):
        seed = 1000 * self.luck + request.seed
        return loss_of(request.weight_decay, seed, self.best(request.scale["width"]))

    def best(self, width):
        """The planted best decay."""
        law = 0.05 * (width / 64) ** self.exponent
        return law * math.exp(self.off.get(width, 0.0))


def tuned(recipe, path, cells=CELLS, **changes):
    def search_at(cell):
        at = search(recipe, **changes)
        return replace(at, spec=replace(at.spec, scale=cell))

    run_tune(search_at, cells, TARGET, path, Settings(), lambda _: None)
    return predict(path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A tune that nothing stopped: its recipe, its store and what it found."""
    recipe, path = Planted(), tmp_path_factory.mktemp("tune") / "my.db"
    return recipe, path, tuned(recipe, path)


def test_a_planted_law_is_found(whole):
    """The value at the target lies in its interval; extrapolation is reported."""
    recipe, path, found = whole
    truth = 0.05 * 16**-0.5
    assert found.low <= truth <= found.high
    exponent = found.exponents["width"]
    assert exponent.low <= -0.5 <= exponent.high
    assert found.extrapolates == {"width": 4.0}
    assert found.rules[0].rule == "unchanged"
    assert "qiu" in {rule.rule for rule in found.rules}
    trained = [cell.trainings for cell in found.cells]
    assert sum(trained) == len(recipe.requests)
    # A scale that starts from a guess takes fewer than one that does not.
    assert max(trained[1:]) <= trained[0]
    farther = predict(path, target={"width": 8192.0})
    assert farther.high / farther.low > found.high / found.low
    html = found._repr_html_()  # without a law a notebook has the text alone
    assert html.startswith("<svg")
    assert not replace(found, lines=())._repr_html_().startswith("<svg")


@pytest.mark.parametrize("at", [1, 25])  # of the first scale and of a later one
def test_after_a_stop_the_end_is_the_same(whole, tmp_path, at):
    """The same call goes on in the middle of any scale."""
    recipe, _, found = whole
    path = tmp_path / "my.db"
    with pytest.raises(StudyStoppedError) as stopped:
        tuned(Planted(fails={at: KeyboardInterrupt()}), path)
    assert stopped.value.store == str(path)
    again = Planted()
    assert tuned(again, path).as_dict() == found.as_dict()
    assert len(again.requests) == len(recipe.requests) - at + 1


def test_what_cannot_be_predicted_is_refused(whole, tmp_path):
    """An unknown axis, no scale at all, a target that leaves one out, few proxies."""
    run_search(search(Formula()), tmp_path / "one.db")
    for target in ({"width": 512.0}, None):
        with pytest.raises(UsageError) as one:
            predict(tmp_path / "one.db", target=target)
        assert "--proxy" in one.value.remedy
    _, path, _ = whole
    with pytest.raises(UnknownNameError) as unknown:
        predict(path, target={"width": 512.0, "heads": 8.0})
    assert unknown.value.name == "heads"
    with pytest.raises(RangeError) as below:
        predict(path, target={"width": -1.0})
    assert below.value.value == -1
    for proxies in ({}, {"width": (64,)}, {"depth": (2, 4)}):
        with pytest.raises(UsageError) as refused:
            plan_cells(proxies, TARGET, {})
        assert refused.value.remedy


def test_scales_that_show_nothing_give_no_value(tmp_path):
    """With decay that does not matter there is no law; each scale has the reason."""
    flat = Planted()
    flat.loss_at = lambda request: 0.5 + random.Random(repr(request)).random() / 100  # noqa: S311
    found = tuned(flat, tmp_path / "my.db")
    assert found.value is None
    assert found.why_null
    assert all(cell.why_not for cell in found.cells)


def test_an_open_interval_is_no_lack_of_seeds(whole, monkeypatch):
    """Neither counts for the law, and each has its own reason."""
    _, path, _ = whole
    reasons = set()
    for ends in ({"low": None, "high": None}, {"low": 0.0}, {"high": math.inf}):
        monkeypatch.setattr(
            "dwindle.tuning.cells.found_of",
            lambda stored, ends=ends: replace(found_of(stored), **ends),
        )
        seen = cells_in(path)
        assert not seen.usable
        reasons |= {cell.why_not for cell in seen.cells}
    assert len(reasons) == 2


@pytest.mark.parametrize(
    # Tunes, and how rarely fewer hits would come by chance: 60 see 80 % from 90 %.
    ("count", "least"),
    [(2, 0.011), pytest.param(60, 0.05, marks=pytest.mark.full)],
)
def test_the_interval_covers_planted_laws(count, least, tmp_path):
    """Of whole tunes not fewer hold the truth than 90 % would by chance.

    Scales lie beside their law, and it bends behind them, as those of real nets do: on
    Fashion-MNIST the local exponent of the data moves by .2 to .4 from 1,000 to 8,000
    images. Of exact laws the interval holds nearly all.
    """
    hits = 0
    for luck in range(1, count + 1):
        draw = random.Random(luck)  # noqa: S311 luck
        exponent, spread = draw.gauss(0, 0.5), abs(draw.gauss(0, SPREAD))
        off = {width: draw.gauss(0, spread) for width in (64, 128, 256, 1024)}
        off[1024] += draw.gauss(0, BEND) * math.log(4)
        planted = Planted(exponent=exponent, luck=luck, off=off)
        found = tuned(planted, tmp_path / f"{luck}.db")
        held = found.value is not None and found.low <= planted.best(1024) <= found.high
        hits += held
    assert binomtest(hits, count, 0.9, alternative="less").pvalue > least


def test_what_is_printed(whole, snapshot: SnapshotAssertion):
    """Value, range and reason first, in 80 columns."""
    _, _, found = whole
    text = as_text(found._drawn(), width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert text == snapshot


def test_a_study_of_a_built_in_problem_predicts():
    """Its axes are the law's; what the target leaves out is as in the base cell."""
    planted = {"width": -0.5, "batch_size": 0.4}
    spec = study_spec()
    axes = tuple(axis for axis in spec.axes if axis.axis in planted)
    findings = simulated_findings(planted, spec=replace(spec, axes=axes))
    cells = cells_of_study(findings)
    base = tuned_of(cells, {"width": 64.0})
    found = tuned_of(cells, {"width": 1024.0, "batch_size": 512.0})
    for axis, exponent in planted.items():
        assert found.exponents[axis].low < exponent < found.exponents[axis].high
    change = 16**-0.5 * 16**0.4
    assert found.low < base.value * change < found.high
    assert found.extrapolates == {"width": 4.0, "batch_size": 4.0}
    assert found.knob == "torch.optim.SGD"


WIDE = """
def train(weight_decay, seed, width):
    {}
    return 1 + (weight_decay * width / 6.4 - 1 - seed / 1000) ** 2
"""


def test_the_command_line(tmp_path, monkeypatch, capsys):
    """A plan, a tune of a function, its prediction elsewhere; axes are checked."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wide.py").write_text(WIDE.format("pass"))
    line = "tune wide:train --knob torch.optim.SGD --low 1e-3 --high 1 --trainings 12"
    axes = "--proxy width=64,128 --target width=256"
    plan = as_json(f"{line} {axes} --dry-run", capsys)
    assert plan["cells"] == [{"width": 64}, {"width": 128}]
    given = "(weight_decay=0.001, seed=0, width=64)"
    assert plan["training"] == f"wide:train{given}"
    assert plan["training"] in run(f"{line} {axes} --dry-run", capsys)[1]
    assert not list(tmp_path.glob("*.db"))
    found = as_json(f"{line} {axes}", capsys)
    assert list(found) == [
        *("target", "value", "low", "high", "exponents", "extrapolates", "rules"),
        *("why_null", "former"),
    ]
    # Nothing that the store names need be there any more.
    (tmp_path / "wide.py").unlink()
    assert as_json("predict wide-tune.db", capsys) == found
    wrong = {
        "--proxy width --target width=2": "RangeError",
        "--proxy width=1,2": "UsageError",
        "--target x=1": "UsageError",
    }
    kinds = {each: error_of(f"{line} {each}", capsys)["kind"] for each in wrong}
    assert kinds == wrong
    # Trainings that fail at one scale: the rest is trained, and the code is 3.
    frail = "if width == 128 and weight_decay == 0: raise ValueError('no')"
    (tmp_path / "wide.py").write_text(WIDE.format(frail))
    found = as_json(f"{line} {axes} --store frail.db", capsys, code=3)
    assert found["target"] == {"width": 256}


def test_two_axes_in_a_file_and_on_the_command_line_are_one_tune(
    tmp_path, monkeypatch, capsys
):
    """A study file plans what the line does; both exponents are found; pages show it.

    What is typed beside the file goes before it.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "both.py").write_text(
        "import math, random\n"
        "def train(weight_decay, seed, width, samples, epochs):\n"
        "    best = 0.1 * (width / 32) ** 0.5 * (samples / 1000) ** -0.5\n"
        "    x = math.log(weight_decay / best) if weight_decay else 3\n"
        "    luck = random.Random(seed).gauss(0, 0.1)\n"
        "    return math.exp(0.02 * x**2 + luck) + 0 * epochs\n"
    )
    (tmp_path / "mine.toml").write_text(
        '[tune]\nfunction = "both:train"\nknob = "torch.optim.AdamW"\n'
        "low = 1e-3\nhigh = 3\ntrainings = 18\n"
        "[proxies]\nwidth = [64, 32, 16]\nsamples = [1000, 2000]\n"
        "[target]\nwidth = 256\nsamples = 8000\nepochs = 3\n"
    )
    line = "tune both:train --knob torch.optim.AdamW --low 1e-3 --high 3"
    axes = "--proxy width=64,32,16 --proxy samples=1000,2000"
    target = "--target width=256,samples=8000,epochs=3"
    plans = [
        as_json(f"{each} --dry-run --store x.db", capsys)
        for each in (f"{line} --trainings 18 {axes} {target}", "tune mine.toml")
    ]
    assert plans[0] == plans[1]
    assert [tuple(cell.values()) for cell in plans[0]["cells"]] == [
        (64, 1000, 3), (32, 1000, 3), (16, 1000, 3), (64, 2000, 3),
    ]  # fmt: skip
    typed = as_json("tune mine.toml --proxy width=8,16 --dry-run", capsys)
    assert typed["cells"] == [  # what is no proxy is as at the target
        {"width": width, "samples": 8000, "epochs": 3} for width in (8, 16)
    ]
    found = as_json("tune mine.toml --html page.html", capsys)
    for axis, planted in (("width", 0.5), ("samples", -0.5)):
        each = found["exponents"][axis]
        assert each["low"] < planted < each["high"]
    truth = 0.1 * 8**0.5 * 8**-0.5
    assert found["low"] < truth < found["high"]
    assert found["extrapolates"] == {"width": 4, "samples": 4}
    page = (tmp_path / "page.html").read_text()
    # A large figure over each axis: two kinds of axis, for wide and narrow screens.
    assert page.count("<svg") == 2 * 2 * 2
    # What report shows of it is the same, and every scale stands there.
    assert as_json("report mine.db --html page.html --png law.png", capsys) == found
    assert (tmp_path / "page.html").read_text() == page
    line = "predict mine.db --target width=64.0,samples=8000.0 --html q.html"
    run(line, capsys)
    assert f"<code>dwindle {line}</code>" in (tmp_path / "q.html").read_text()
    _, out, _ = run("report mine.db", capsys)
    assert all(f"width {width}" in out for width in (64, 32, 16))
    wrong = (tmp_path / "mine.toml").read_text().replace("[proxies]", "[proxy]")
    (tmp_path / "wrong.toml").write_text(wrong)
    assert error_of("tune wrong.toml", capsys)["kind"] == "StudyFileError"


KNOBS = {
    # Best C falls with the width as the best decay grows; a half-life the other way.
    "own:SVC.C:inverse": (lambda width: 20 * (width / 64) ** -0.5, 0.3, 3e3, {}),
    "half-life:epochs": (
        lambda width: 5 * (width / 64) ** 0.5,
        0.2,
        200,
        {"lr": 1e-2, "batch_size": 10, "dataset_size": 1000},
    ),
}


@pytest.mark.parametrize("knob", KNOBS)
def test_knobs_that_run_backwards_have_laws_too(knob):
    """The number falls or grows as planted; the training gets what it types."""
    best_at, low, high, facts = KNOBS[knob]

    def train(weight_decay, seed, width):
        number = weight_decay
        if facts:  # AdamW's decay: half of a weight is gone after so many epochs
            steps = facts["dataset_size"] / facts["batch_size"]
            shrink = facts["lr"] * weight_decay
            number = -math.log(2) / math.log1p(-shrink) / steps if shrink else math.inf
        is_without = math.isinf(number)
        x = 3.0 if is_without else math.log(best_at(width) / number)
        level = random.Random(seed).gauss(0, 0.1)  # noqa: S311 luck
        return math.exp(0.02 * x**2 + level)

    found = tune(
        train,
        proxies={"width": [64, 128, 256]},
        target={"width": 1024},
        knob=knob,
        typed="torch.optim.AdamW" if facts else None,
        run=facts or None,
        low=low,
        high=high,
    )
    assert not any(cell.why_not for cell in found.cells), found
    assert found.low < best_at(1024) < found.high
    exponent = -0.5 if not facts else 0.5
    assert found.exponents["width"].low < exponent < found.exponents["width"].high


def trained_at(cell, path, settings, **changes):
    """Search at one scale only, as find does."""
    whole = search(Planted(), **changes)
    at = replace(whole, spec=replace(whole.spec, scale=cell))
    run_search(at, path, settings)


def test_scales_without_a_target_are_shown_together(tmp_path, capsys):
    """A store of find at two scales: both stand in its report, with their law."""
    path = tmp_path / "my.db"
    for cell in CELLS[:2]:
        trained_at(cell, path, Settings())
    code, out, _ = run(f"report {path}", capsys)
    assert (code, "width 64" in out, "width 128" in out) == (0, True, True)
    found = as_json(f"report {path}", capsys)
    assert (found["value"], found["target"]) == (None, {})
    assert found["exponents"]["width"]["low"] < -0.5


def test_trainings_under_other_conditions_are_counted_and_left_out(tmp_path):
    """A store that was accepted for a changed training: its law is of that alone."""
    path = tmp_path / "my.db"
    tuned(Planted(), path, trainings=9)
    changed = {"trainings": 9, "metric": "other"}
    trained_at(CELLS[0], path, Settings(accept_change=True), **changed)
    after = predict(path, target=TARGET)
    assert [cell.trainings for cell in after.cells] == [9]
    assert [each.trainings for each in after.former] == [27]
    assert [note for note in after.notes if note.startswith("27 trainings")]

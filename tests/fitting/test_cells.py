"""What one cell shows: laws that hold on any scale; what is counted or left out."""

import math
import shlex

import numpy as np
import pytest
from fitting.planted import Planted, draw

import dwindle
from dwindle.errors import (
    AmbiguousNameError,
    DataFilesError,
    RefusedError,
    UnknownNameError,
    UsageError,
)

NAN = math.nan


def drawn(kind, effect, seed=3):
    return draw(kind, np.random.default_rng(seed), effect=effect)[0]


def sparse(seeds):
    """Two trainings a seed around 1e-2, as find makes them, and a first seed of 7."""
    generator, center = np.random.default_rng(0), math.log(1e-2)
    pairs = center + generator.normal(0, 0.2, (seeds, 1)) + np.array([-0.6, 0.6])
    return [
        {
            "weight_decay": float(np.exp(x)),
            "seed": seed,
            "val_loss": float(np.exp(0.1 * (seed % 9) + 0.02 * (x - center) ** 2)),
        }
        for seed, of_seed in enumerate([np.linspace(math.log(1e-4), 0, 7), *pairs])
        for x in of_seed
    ]


RISING = [
    {"weight_decay": 10.0**-k, "seed": seed, "val_loss": 1 + 0.1 * k + 0.01 * seed}
    for seed in range(5)
    for k in range(1, 6)
]
ALONE = Planted(seeds=3, points=9, paired=False, has_seed=False)
MIRRORED = {
    "paired": drawn(Planted(seeds=5, points=9), 20),
    "alone": drawn(ALONE, 20),
    "sparse": sparse(6),
    "at an end": RISING,
    "alone, at an end": [{k: r[k] for k in r if k != "seed"} for r in RISING],
}


@pytest.mark.parametrize("kind", MIRRORED)
def test_a_c_is_a_decay_upside_down(kind):
    """A number that runs backwards has the same answer, with its ends exchanged."""
    rows = MIRRORED[kind]
    as_c = [
        {k: v for k, v in row.items() if k != "weight_decay"}
        | {"C": 1 / row["weight_decay"]}
        for row in rows
    ]
    (cell,), (mirror,) = dwindle.fit(rows).cells, dwindle.fit(as_c).cells
    if kind == "sparse":
        # Their read-out claims nothing without λ = 0, but it has value and interval.
        assert (cell.paired, cell.seeds, cell.verdict) == (True, 7, "cannot tell")
        assert cell.low < 1e-2 < cell.high
        assert cell.value == pytest.approx(1e-2, rel=0.1)
    other = {"at most": "at least", "at least": "at most", "low": "high", "high": "low"}
    assert mirror.verdict in (cell.verdict, other.get(cell.verdict))
    assert mirror.at_edge == other.get(cell.at_edge)
    assert bool(cell.at_edge) == kind.endswith("end")
    turned = [x and 1 / x for x in (mirror.value, mirror.high, mirror.low)]
    # λ itself has twelve digits, and so has 1/λ.
    assert turned == [
        x and pytest.approx(x, rel=1e-9) for x in (cell.value, cell.low, cell.high)
    ]


def rewards(kind, effect, *, times=1.0, more=0.0):
    """The same trainings, scored by minus ln loss: of both signs around 0."""
    return [
        {
            "wd": row["weight_decay"],
            "seed": row["seed"],
            "reward": more - times * math.log(row["val_loss"]),
        }
        for row in drawn(kind, effect)
    ]


def test_rewards_of_both_signs_are_read_on_any_scale():
    """A reward has no ratio: half of it, or a tenth more everywhere, is the same."""
    kind = Planted(seeds=5, points=9)
    (cell,), (moved,) = (
        dwindle.fit(rewards(kind, 20, **scale), maximize=True).cells
        for scale in ({}, {"times": 0.5, "more": -0.01})
    )
    assert (cell.verdict, moved.verdict) == ("optimum", "optimum")
    for name in ("value", "low", "high"):
        assert getattr(moved, name) == pytest.approx(getattr(cell, name), rel=1e-9)
    # Where gains have no share, even a tiny one is not judged not to matter.
    flat = rewards(Planted(seeds=8, points=5, zero=True, fresh=1e-6), 0)
    assert dwindle.fit(flat, maximize=True).cells[0].matters == "cannot tell"


def test_more_seeds_than_a_table_has_room_for_are_read_in_blocks():
    """Means of two seeds each: the count is that of the seeds."""
    generator = np.random.default_rng(1)
    rows = [
        {"wd": wd, "seed": seed, "loss": 1 + rise + generator.normal(0, 0.05)}
        for seed in range(802)
        for wd, rise in ((1e-3, 0.1), (1e-2, 0.0), (1e-1, 0.1))
    ]
    (cell,) = dwindle.fit(rows).cells
    assert (cell.verdict, cell.seeds) == ("optimum", 802)
    assert cell.value == pytest.approx(1e-2, rel=0.1)


def dip(decay, seed, best=0.03):
    """A parabola over ln of the decay, a level and a little noise by seed."""
    place = math.log((decay or 1e-5) / best)
    return 1 + 0.02 * place**2 + 0.1 * seed + 1e-3 * math.sin(9 * seed + place)


LEVELS = (0.0, 1e-3, 1e-2, 1e-1)
NOTHING_IN_COMMON = [
    {"wd": 10.0 ** (-seed % 3 - at / 7), "seed": seed, "loss": 1.0 + at + seed}
    for seed in range(210)
    for at in (0.1 * seed, 0.2 * seed + 1)
]
NONE = {"verdict": "cannot tell", "low": None, "high": None, "value": None}
# Rows, and what is claimed of their cell.
CLAIMED = {
    "all diverged": ([{"wd": w, "loss": NAN} for w in LEVELS], {**NONE, "diverged": 4}),
    "one λ": ([{"wd": 0.1, "loss": 2.0}, {"wd": 0.1, "loss": 1.0}], NONE),
    "one row": ([{"wd": 0.1, "loss": 2.0}], NONE),
    "too many places": (NOTHING_IN_COMMON, NONE),
    "one loss of all λ": (
        [{"wd": w, "seed": s, "loss": 0.5} for w in LEVELS for s in range(4)],
        {**NONE, "compared": None},
    ),
    "next to nothing": (
        [{"wd": w, "loss": 1 + 1e-5 * k} for w in LEVELS for k in range(12)],
        {"verdict": "does not matter", "matters": "no"},
    ),
    # That the means of three, 20 % apart, are one is no evidence. Equal rows are one.
    "much noise": (
        [{"wd": w, "loss": x + w / 1e5} for w in LEVELS for x in (0.8, 1.0, 1.25)],
        {"matters": "cannot tell", "verdict": "cannot tell"},
    ),
    # The two that are left of five are no evidence about λ.
    "lucky ones": (
        [{"wd": w, "loss": x + 1e-3 * k} for k in range(5)
         for w, x in ((1e-3, 1.2), (1e-2, 1.0), (0.1, NAN if k < 3 else 0.5))],
        {"diverged": 3, "paired": False, "value": pytest.approx(1e-2, rel=0.5)},
    ),
    # A training each: no pair of them is compared, and no number settles it.
    "lone trainings": (
        [{"wd": w, "seed": 0, "loss": dip(w, 0)} for w in (0.01, 0.03, 0.1)],
        {"compared": None, "noise_known": False, "needed": 2},
    ),
}  # fmt: skip


def attributes(cell, names):
    return {name: getattr(cell, name) for name in names}


@pytest.mark.parametrize("case", CLAIMED)
def test_what_is_claimed_of_few_odd_or_noisy_rows(case):
    """No value where nothing finite is left, no claim where noise may be all."""
    rows, claimed = CLAIMED[case]
    (cell,) = dwindle.fit(rows).cells
    assert attributes(cell, claimed) == claimed


ROWS = [
    {"wd": 10.0**-k, "seed": s, "loss": 1 + 0.1 * abs(k - 2) + 0.01 * s}
    for k in range(5)
    for s in range(4)
]
READ = {
    "killed by its loss": ([{"state": "diverged", "loss": ""}], {}, 1),
    "no decay": (
        [{"wd": ""}, {"wd": -1}],
        {"without a weight decay": 1, "with an impossible weight decay": 1},
        0,
    ),
    "no scale": ([{"width": ""}], {"without a scale": 1}, 0),
    "no loss": ([{"loss": "n/a"}], {"without a loss": 1}, 0),
    "between evaluations": (
        [{"step": 1, "loss": ""}, {"step": 2, "loss": 2}, {"step": 9, "loss": ""}],
        {"earlier in their training": 2},
        0,
    ),
}


@pytest.mark.parametrize("case", READ)
def test_what_is_left_out_is_counted(case):
    """Rows that are no evidence, each with its reason; diverged ones count."""
    more, left_out, diverged = READ[case]
    names = dict.fromkeys(name for row in more for name in row)
    usual = {"state": "finished", "width": 64, "step": 0}
    whole = [{**{k: usual[k] for k in names if k in usual}, **row} for row in ROWS]
    if "width" in names:
        whole += [{**row, "width": 128} for row in whole]
    found = dwindle.fit(whole + [{**whole[0], "seed": 9, **row} for row in more])
    assert found.left_out == left_out
    assert sum(cell.diverged for cell in found.cells) == diverged


SCORES = {
    "a share": (lambda loss: 1 - 0.2 * loss, "1 − acc"),
    "percents": (lambda loss: 100 - 20 * loss, "100 − acc"),
    "a reward": (lambda loss: -loss, "−acc"),
    "of another scale": (lambda loss: 300 - loss, "−acc"),
}


@pytest.mark.parametrize("kind", SCORES)
def test_a_score_leaves_an_error(kind):
    """Of 1 or of 100 what is not right counts; a reward has no whole."""
    score, read_as = SCORES[kind]
    rows = [
        {"wd": np.float64(row["wd"]), "seed": row["seed"], "acc": score(row["loss"])}
        for row in ROWS
    ]
    found = dwindle.fit(rows)
    assert (found.score, found.columns.maximize) == (read_as, True)
    assert found.cells[0].value == pytest.approx(0.01, rel=0.2)


def test_columns_are_chosen_by_their_bare_letters():
    """Other signs do not matter; several matches, or none, are errors."""
    rows = [
        {
            "config/wd": row["wd"],
            "config/lr": 0.1,
            "config/dropout": row["seed"] % 2,
            "config/run_name": f"run {row['seed']}",
            "summary/val_loss": row["loss"],
            "summary/Test Loss": -row["loss"],
        }
        for row in ROWS
    ]
    found = dwindle.fit(rows, metric="test loss", maximize=True, ignore=["dropout"])
    assert found.columns.metric == "summary/Test Loss"
    assert (found.columns.maximize, found.columns.fixed) == (True, {"lr": 0.1})
    assert found.columns.unused == ("config/dropout", *VALIDATION)
    assert dwindle.fit(rows).columns.metric == VALIDATION[0]
    assert dwindle.fit(rows).columns.settings == ("config/dropout",)
    with pytest.raises(UnknownNameError) as unknown:
        dwindle.fit(rows, metric="tets loss")
    assert unknown.value.name == "tets loss"
    twice = [{**row, "summary/val-loss": 1.0} for row in rows]
    for chosen in ({"metric": "val loss"}, {}):
        with pytest.raises(AmbiguousNameError) as several:
            dwindle.fit(twice, **chosen)
        assert set(several.value.candidates) == {VALIDATION[0], "summary/val-loss"}
    with pytest.raises(DataFilesError) as lacking:
        dwindle.fit([{"wd": 0.1, "color": "red"}])
    assert lacking.value.path == "the list"


VALIDATION = ("summary/val_loss",)


def test_decays_that_differ_by_a_percent_are_one_where_there_are_thousands():
    """A search of 1,200 λ over a range has a curve of fewer places, and its dip."""
    generator = np.random.default_rng(2)
    places = generator.uniform(math.log(1e-4), 0, 1200)
    rows = [
        {"wd": float(np.exp(x)), "loss": float(np.exp(0.05 * (x + 4) ** 2))}
        for x in places
    ]
    (cell,) = dwindle.fit(rows).cells
    assert len(cell.curve) < 1000
    assert sum(count for _, _, count in cell.curve) == 1200
    assert cell.value == pytest.approx(math.exp(-4), rel=0.05)


def test_what_was_measured_is_no_setting():
    """A loss or a time with few values makes no cells; a free word does."""
    rows = [
        {**row, "train_loss": row["seed"] % 2, "wall time": row["seed"] % 2}
        for row in ROWS
    ]
    assert dwindle.fit(rows).columns.settings == ()
    free = [{**row, "stem": row["seed"] % 2} for row in rows]
    assert dwindle.fit(free).columns.settings == ("stem",)


def test_what_diverges_closes_the_range():
    """Nobody can type what gives no loss: the interval ends at the first."""
    tried = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
    rows = [
        {"wd": wd, "seed": seed, "loss": dip(wd, seed) if wd < 0.3 else NAN}
        for wd in tried
        for seed in range(4)
    ]
    (whole,) = dwindle.fit(rows).cells
    assert (whole.verdict, 0.03 < whole.high <= 0.3) == ("optimum", True)
    # The best of those that live is the last of them: bounded, and no "at least".
    (cut,) = dwindle.fit([row for row in rows if row["wd"] != 0.1]).cells
    assert (cut.verdict, cut.at_edge, cut.high) == ("optimum", None, 0.3)
    assert cut.low < 0.03 < cut.high


def test_one_decay_above_zero_has_no_side():
    """It beats training without decay, and the best may lie on both sides of it."""
    rows = [
        {"wd": wd, "seed": seed, "loss": dip(wd, seed)}
        for wd in (0.0, 0.1)
        for seed in range(6)
    ]
    found = dwindle.fit(rows)
    (cell,) = found.cells
    assert (cell.matters, cell.verdict) == ("yes", "cannot tell")
    assert (cell.low, cell.high, cell.at_edge, cell.needed) == (None, None, None, None)
    words = shlex.split(found.command)
    low, high = (float(words[words.index(o) + 1]) for o in ("--low", "--high"))
    assert low < 0.1 < high


SWEEP = {1e-4: 2.2, 1e-3: 1.3, 3e-3: 1.08, 0.01: 1.0, 0.03: 1.07, 0.1: 1.3, 1.0: 2.2}


def sweep(*, lost=None, missing=(), seeds=4, knob="wd"):
    """Losses by hand; ``lost`` has the λ at which a seed diverged, by its number."""
    return [
        {
            knob: 1 / wd if knob == "C" else wd,
            "seed": seed,
            "val_loss": NAN
            if wd in (lost or {}).get(seed, ())
            else loss + 0.001 * seed,
        }
        for seed in range(seeds)
        for wd, loss in SWEEP.items()
        if (seed, wd) not in missing
    ]


def claims(cell):
    # The order of seeds shows in the last digits of sums.
    places = [each and round(each, 9) for each in (cell.value, cell.low, cell.high)]
    return cell.verdict, *places, cell.why, cell.seeds


LOST_SEEDS = {
    "everywhere": sweep(lost={3: SWEEP}),
    "at all that it tried": [
        *sweep(seeds=3),
        *({"wd": wd, "seed": 3, "val_loss": NAN} for wd in list(SWEEP)[:4]),
    ],
    "but once": sweep(lost={3: [wd for wd in SWEEP if wd != 0.1]}),
    "at most": sweep(lost={3: list(SWEEP)[3:]}),
}


@pytest.mark.parametrize("how", LOST_SEEDS)
def test_a_seed_that_diverged_at_every_decay_hides_no_other(how):
    """It is no evidence about λ: the answer is that of the others."""
    (alone,), (cell,) = (
        dwindle.fit(rows).cells for rows in (sweep(seeds=3), LOST_SEEDS[how])
    )
    assert claims(cell) == claims(alone)
    assert (cell.verdict, cell.seeds, cell.seeds_lost) == ("optimum", 3, 1)
    assert cell.value == pytest.approx(0.01)
    assert cell.diverged > 0
    # Most of them may be lost, and no λ is a ruin for that.
    lost = dict.fromkeys((0, 2, 4), SWEEP)
    (alone,) = dwindle.fit([r for r in sweep(seeds=5) if r["seed"] in (1, 3)]).cells
    (cell,) = dwindle.fit(sweep(seeds=5, lost=lost)).cells
    assert claims(cell) == claims(alone)
    assert (cell.seeds_lost, cell.noise_known, cell.needed) == (3, False, 1)


@pytest.mark.parametrize("wd", list(SWEEP)[1:-1])
def test_what_diverged_between_others_of_its_seed_is_missing(wd):
    """At more and at less decay it trained, and other seeds did here: not this λ."""
    (failed,) = dwindle.fit(sweep(missing={(1, wd)})).cells
    (cell,) = dwindle.fit(sweep(lost={1: [wd]})).cells
    assert claims(cell) == claims(failed)
    # Between the λ that were tried the lowest place is read.
    assert (cell.value, cell.diverged) == (pytest.approx(0.01, rel=0.05), 1)
    # On a grid so fine that each λ has its part in the reading, too.
    fine = [
        {"wd": 2.0**k, "seed": s, "loss": dip(2.0**k, s)}
        for k in range(-10, 0)
        for s in range(4)
        if (k, s) != (-5, 1)
    ]
    lost = [*fine, {"wd": 2.0**-5, "seed": 1, "loss": NAN}]
    (failed,), (cell,) = (dwindle.fit(rows).cells for rows in (fine, lost))
    assert claims(cell) == claims(failed)


@pytest.mark.parametrize("knob", ["wd", "C"])
@pytest.mark.parametrize(("end", "beside"), [(1.0, 0.1), (1e-4, 1e-3)])
def test_one_seed_that_diverges_at_an_end_closes_the_range(end, beside, knob):
    """As a wall of a search: what beats the other end is no bound any more."""
    rows = sweep(lost={3: [end]}, missing={(2, end), (1, 0.03)}, knob=knob)
    # The last λ that all trained is as good as the best one, but for noise.
    for row in rows:
        if math.isclose(1 / row["C"] if knob == "C" else row["wd"], beside):
            row["val_loss"] = 1.0 + 0.01 * math.sin(9 * row["seed"])
    (cell,) = dwindle.fit(rows).cells
    assert (cell.verdict, cell.at_edge) == ("optimum", None)
    low, high = sorted((1 / cell.low, 1 / cell.high)) if knob == "C" else (
        cell.low, cell.high,
    )  # fmt: skip
    assert 1e-4 / 1.001 < low < 0.01 < high < 1.001


def test_two_walls_around_noise_claim_nothing():
    """That trainings diverge beyond both ends is no evidence about what is between."""
    lost = {(3, 1.0), (2, 1e-4)}
    rows = [
        {**row, "val_loss": 1.1 + 0.02 * math.sin(37 * at) + 0.1 * row["seed"]}
        for at, row in enumerate(sweep())
        if (row["seed"], row["wd"]) not in lost
    ]
    rows += [{"wd": wd, "seed": seed, "val_loss": NAN} for seed, wd in lost]
    assert dwindle.fit(rows).cells[0].verdict == "cannot tell"


PAIRED = drawn(Planted(seeds=4, points=9), 20)


def test_what_differs_is_pooled_or_makes_cells_as_the_caller_chooses():
    """Of another setting, of a seed, of a name: a choice goes before a guess."""

    def cells_of(rows, **chosen):
        return [dict(cell.settings) for cell in dwindle.fit(rows, **chosen).cells]

    dropped = [{**row, "dropout": d} for row in ROWS for d in (0.0, 0.1)]
    assert cells_of(dropped) == [{"dropout": "0"}, {"dropout": "0.1"}]
    assert cells_of(dropped, ignore=["dropout"]) == [{}]
    pooled = dwindle.fit(PAIRED, ignore=["seed"])
    assert (pooled.columns.seed, pooled.columns.unused) == (None, ("seed",))
    assert not pooled.cells[0].paired
    assert cells_of(PAIRED, cells=["seed"]) == [{"seed": str(s)} for s in range(4)]
    assert dwindle.fit(PAIRED, cells=["seed"]).axes == ()
    named = [{**r, "note": n} for r in PAIRED for n in ("a", "b")]
    assert cells_of(named, cells=["note"]) == [{"note": "a"}, {"note": "b"}]
    # None alike is refused, also one that has another value in every row, by its name.
    for odd in ({"lr": 0.1}, {"dropout": 0.1}):
        ((name, first),) = odd.items()
        drawn_once = [{**r, name: first + at / 99} for at, r in enumerate(dropped)]
        with pytest.raises(RefusedError) as raised:
            dwindle.fit(drawn_once)
        assert raised.value.asked


@pytest.mark.parametrize("option", ["cells", "ignore"])
@pytest.mark.parametrize("taken", ["weight_decay", "val_loss", "seed"])
def test_a_column_is_one_thing(option, taken):
    """What is the knob, the metric or the chosen seed is not pooled as well."""
    with pytest.raises(UsageError) as raised:
        dwindle.fit(PAIRED, seed="seed", **{option: [taken]})
    assert raised.value.must.startswith(f"--{option}")


def test_a_value_that_was_tried_is_as_it_was_typed():
    """0.1 is not 0.10000000000000002, and C = 49 not 49.00000000000001."""
    rows = [
        {"weight_decay": 10.0**-k, "seed": s, "val_loss": 1 + abs(k - 1)}
        for k in range(4)
        for s in range(2)
    ]
    assert dwindle.fit(rows).value == 0.1
    as_c = [{"C": c, "seed": 0, "val_loss": abs(c - 49)} for c in (1, 7, 49, 343)]
    assert dwindle.fit(as_c).value == 49

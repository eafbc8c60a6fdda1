"""A study as data: what cannot be is refused, and survives JSON if it can be."""

import json
from dataclasses import replace

import pytest
from study.tiny import BASE, CONDITIONS, SPEC, changed

from dwindle.errors import RangeError, UnknownNameError
from dwindle.plain import from_plain
from dwindle.store.spec import AxisSpec, StudySpec

SGD = SPEC.optimizer
NAN = float("nan")
# Of a training in a store of before splits could be fixed.
KEY_OF_BEFORE = "6139f6a86c9b75caaefd04ed4e84e78c15f20b816bd12a1e2023efd3a967c5cc"


def axis(name, *values, **policies):
    return {"axes": (AxisSpec(axis=name, values=values, **policies),)}


def test_a_spec_survives_json():
    """A spec read back from text is the same; 64.0 units are 64, as in old stores."""
    assert from_plain(StudySpec, json.loads(json.dumps(SPEC.as_dict()))) == SPEC
    spec = changed(base=replace(BASE, width=8.0), **axis("width", 4.0, 16.0))
    assert [scale.width for scale in spec.scales] == [4, 16]


def test_what_a_file_may_not_have_a_spec_may_not_either():
    """The error has the name and the value; mistakes of all kinds are those of files.

    Thirteen decays may be 1.1 % apart; at 0.9 % they are alike.
    """
    nesterov = replace(SGD, nesterov=True, dampening=0.5)
    wrong = [
        ({"low": NAN}, "low", NAN),
        ({"high": 1e-4}, "low", "0.004"),
        ({"low": 1e-3, "high": 1e-3 * 1.009**12, "points": 13}, "points", None),
        ({"axes": ()}, "axes", "none"),
        ({"base": replace(BASE, batch_size=65)}, "batch_size", 65),
        ({"base": replace(BASE, width=8.5)}, "width", 8.5),
        ({"optimizer": replace(SGD, eps="1")}, "eps", "'1'"),
        ({"optimizer": replace(SGD, betas=(0.9, 1.0))}, "betas", [0.9, 1.0]),
        ({"optimizer": nesterov}, "nesterov", None),
        (axis("batch_size", 16, 128), "batch_size", 128),
        (axis("dataset_size", 16, 128), "batch_size", 32),
        (axis("width", 4, 8, 4), "values of width", [4, 8, 4]),
        (axis("width"), "values of width", []),
        (axis("depth", 1.5), "depth", 1.5),
        *(({"split": split}, "split", None) for split in (-1, True, "seed", 10_000)),
    ]
    for change, name, value in wrong:
        with pytest.raises(RangeError) as refused:
            changed(**change)
        assert refused.value.name == name
        assert value is None or str(refused.value.value) == str(value)
    for change, nearest in (
        ({"optimizer": replace(SGD, schedule="cosin")}, "cosine"),
        (axis("widht", 1), "width"),
        (axis("batch_size", 1, hold="step"), "steps"),
    ):
        with pytest.raises(UnknownNameError) as unknown:
            changed(**change)
        assert unknown.value.nearest[0] == nearest
    assert changed(low=1e-3, high=1e-3 * 1.011**12, points=13).points == 13


def test_a_grid_is_every_combination():
    """Nine cells of three by three; along axes alone they would be five."""
    axes = (
        AxisSpec(axis="batch_size", values=(16, 32, 64)),
        AxisSpec(axis="lr", values=(0.05, 0.1, 0.2)),
    )
    crossed = {(at.batch_size, at.lr) for at in changed(axes=axes, grid=True).scales}
    assert crossed == {(batch, lr) for batch in (16, 32, 64) for lr in (0.05, 0.1, 0.2)}
    assert len(changed(axes=axes).scales) == 5
    assert changed(axes=axes, grid=True).scales[0] == BASE


def test_the_split_is_part_of_a_training_and_of_its_key():
    """A fixed split is another training; that of the seed has the key of before."""
    trial = SPEC.trial(BASE, 0.1, 3)
    fixed = replace(trial, split=0)
    assert CONDITIONS.key_of(trial) == KEY_OF_BEFORE
    assert CONDITIONS.key_of(fixed) != KEY_OF_BEFORE
    assert (trial.split_seed, fixed.split_seed) == (3, 0)
    assert StudySpec.from_tables(changed(split=2).as_tables(), "tiny").split == 2

"""The headline follows from the exponents and changes with them."""

import dataclasses

import pytest
from report import synthetic

from dwindle.findings.model import Findings
from dwindle.report import sentences


def with_exponents(exponents: dict[str, tuple[float, float, float]]) -> Findings:
    study = synthetic.findings(axes=tuple(exponents))
    axes = tuple(
        dataclasses.replace(axis, exponent=each[1], low=each[0], high=each[2])
        for axis, each in zip(study.axes, exponents.values(), strict=True)
    )
    return dataclasses.replace(study, axes=axes)


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ((-1.2, -1.0, -0.8), "With SGD, the best λ falls with width."),
        ((0.8, 1.0, 1.2), "With SGD, the best λ rises with width."),
        ((-0.2, 0.0, 0.2), "With SGD, the best λ does not move with width."),
        ((-2.0, 0.0, 2.0), "With SGD, whether the best λ moves with width is open."),
    ],
)
def test_headline_of_one_axis(limits: tuple[float, float, float], told: str) -> None:
    """Down, up, nowhere and unknown are four different sentences."""
    assert sentences.headline(with_exponents({"width": limits})) == told


def test_headline_of_many_axes() -> None:
    """Every axis is named once, under the way its λ goes."""
    study = with_exponents(
        {
            "width": (-0.1, 0.0, 0.1),
            "batch_size": (0.3, 0.5, 0.7),
            "dataset_size": (-1.2, -1.0, -0.8),
            "epochs": (-0.9, -0.5, -0.1),
            "lr": (-3.0, 0.0, 3.0),
        }
    )
    assert sentences.headline(study) == (
        "With SGD, the best λ falls with dataset size and epochs; it rises with batch "
        "size; it does not move with width; whether it moves with learning rate is "
        "open."
    )


def test_reversed_slopes_change_every_sentence() -> None:
    """Sentences are made from numbers: turn the slopes round and none stays."""
    axes = ("width", "dataset_size")
    study = with_exponents(dict.fromkeys(axes, (-1.2, -1.0, -0.8)))
    turned = with_exponents(dict.fromkeys(axes, (0.8, 1.0, 1.2)))
    before = {sentences.headline(study), *sentences.verdict(study)}
    after = {sentences.headline(turned), *sentences.verdict(turned)}
    # The count of diverged trainings is no matter of slopes.
    assert {each for each in before & after if "diverged" not in each} == set()


def test_a_normalized_study_says_so() -> None:
    """λ of a normalized study is another λ; its headline names the normalization."""
    study = dataclasses.replace(
        with_exponents({"width": (1.0, 1.5, 2.0)}), normalization="layer-mean"
    )
    assert sentences.headline(study) == (
        "With SGD and λ normalized by layer-mean, the best λ rises with width."
    )


def test_unfinished_studies_are_marked() -> None:
    """A reader of half a study knows that it is half a study."""
    study = dataclasses.replace(
        synthetic.findings(), axes=(), complete=False, trials={"ok": 3}
    )
    assert sentences.verdict(study) == (
        "Not all trainings are done; the same command continues.",
    )


def test_one_training_is_singular() -> None:
    """One diverged training is one training."""
    study = dataclasses.replace(
        synthetic.findings(), axes=(), trials={"ok": 3, "diverged": 1}
    )
    assert sentences.verdict(study)[-1].startswith("1 training diverged")

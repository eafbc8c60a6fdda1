"""One decay in every knob: what convert gives one by one, and reasons for the rest."""

import pytest

from dwindle.decay.convert import convert
from dwindle.decay.convert_all import convert_to_all
from dwindle.decay.knobs import KNOBS
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import (
    MissingFactError,
    OscillationError,
    RangeError,
    RefusedError,
    UnknownNameError,
)

WHOLE = Run(
    lr=1e-3,
    momentum=0.9,
    batch_size=10,
    dataset_size=100,
    epochs=5,
    tokens_per_example=3,
    units=(6, 4, 2),
    schedule=Schedule(shape="cosine"),
)
SETTINGS = [
    (0.1, "torch.optim.AdamW"),
    (5e-4, "torch.optim.SGD"),
    (1e-3, "question.l2"),
    ("3 epochs", "half-life"),
    (0.5, "shrink"),
    (1e-2, "torch.optim.Adam"),
    (0.1, "optax.lamb"),
]
HONEST = (RefusedError, MissingFactError, RangeError, OscillationError)


@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.full)])
@pytest.mark.parametrize(("value", "name"), SETTINGS)
def test_every_knob_is_converted_or_refused_as_convert_does(value, name, every):
    """Each knob but the bare half-life is there once, as convert alone has it."""
    for run in (Run(), Run(lr=0.1), WHOLE):
        found = convert_to_all(value, name, run=run)
        held = {each.to: each for each in found.conversions}
        refused = [knob for each in found.refused for knob in each.knobs]
        assert sorted([*held, *refused]) == sorted(set(KNOBS) - {"half-life"})
        for target, there in [*held.items()][::every]:
            assert there == convert(value, name, to=target, run=run)
        for target in refused[::every]:
            with pytest.raises(HONEST) as raised:
                convert(value, name, to=target, run=run)
            assert str(raised.value)


def test_what_cannot_hold_it_is_listed_with_the_reason():
    """The reason is short, and said once for all knobs that share it."""
    adamw, l2 = "torch.AdamW", "keras.regularizers.L2"
    constant = "sklearn.linear_model.SGDClassifier:constant"
    reasons = [
        (0.1, adamw, Run(lr=1), "needs batch_size: give --batch", "half-life:examples"),
        (0.1, adamw, Run(lr=1e-3), "the number sets no rate", "torch.optim.Adam"),
        (0.1, adamw, Run(lr=1e-3), "terms of an objective", l2),
        (0.1, "shrink", Run(lr=1e-3), "terms of an objective", l2),
        (0.1, "question.l2", Run(lr=1), "name its optimizer", "torch.optim.AdamW"),
        (0.1, "optax.lamb", WHOLE, "the number sets no rate", "torch.optim.AdamW"),
        (0.5, "shrink", WHOLE, "without a swing", "torch.optim.SGD"),
        (0.0, adamw, WHOLE, "no number there gives", "torch.optim.ASGD"),
        (0.1, adamw, WHOLE, "have this momentum", constant),
    ]
    for value, name, run, reason, knob in reasons:
        found = convert_to_all(value, name, run=run)
        (told,) = [each.reason for each in found.refused if knob in each.knobs]
        assert reason in told
        assert len(told) < 100
        assert len({each.reason for each in found.refused}) == len(found.refused)


def test_a_change_of_scale_reaches_every_knob():
    """The run afterwards is that of the targets."""
    found = convert_to_all(0.1, "torch.AdamW", run=Run(lr=1e-3), run_after=Run(lr=2e-3))
    values = {each.to: each.value for each in found.conversions}
    assert values["optax.adamw"] == pytest.approx(0.05, rel=1e-12)  # three roundings


def test_bad_input_is_an_error_not_a_list():
    """An impossible value, or no such knob, is refused once, not for every target."""
    with pytest.raises(RangeError) as raised:
        convert_to_all(-1, "torch.AdamW")
    assert raised.value.value == -1.0
    with pytest.raises(UnknownNameError) as unknown:
        convert_to_all(1, "AdamV")
    assert unknown.value.name == "AdamV"

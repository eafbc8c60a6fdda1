"""The nearest names: what the fewest typing mistakes make of a word comes first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwindle.decay.knobs import KNOBS, resolve_knob
from dwindle.errors import UnknownNameError
from dwindle.errors.nearest import nearest_names, typing_mistakes

words = st.text("abcw", max_size=6)


MEANT = {
    **dict.fromkeys(
        ("AdamWW", "AdmW", "AdamV", "adam-w", "torch.AdmW"), "torch.optim.AdamW"
    ),
    "SDG": "torch.optim.SGD",
    "Adma": "torch.optim.Adam",
    "keras.AdamWW": "keras.optimizers.AdamW",
    "keras.L3": "keras.regularizers.L2",
    "keras.optimizersNadam": "keras.optimizers.Nadam",
    "optax.adamww": "optax.adamw",
    "timm.AdmW": "timm.adamw",
    "sklear.Ridge": "sklearn.linear_model.Ridge",
    "LogisticRegresion": "sklearn.linear_model.LogisticRegression:C",
    "half-lif": "half-life",
    "bengio": "bengio2012.l2",
}


def test_the_knob_that_was_meant_comes_first():
    """A typing mistake is answered with what was meant, torch's of several alike."""
    first = {}
    for typed in MEANT:
        with pytest.raises(UnknownNameError) as caught:
            resolve_knob(typed)
        first[typed] = caught.value.nearest[0]
    assert first == MEANT


@given(st.sampled_from(sorted(KNOBS)), st.data())
def test_a_letter_too_few_still_finds_the_name(name, data):
    """A full name that lost any one letter is found again, before all longer ones."""
    lost = data.draw(st.integers(0, len(name) - 1))
    typed = name[:lost] + name[lost + 1 :]
    assert typing_mistakes(typed, name) == 1
    near = nearest_names(typed, KNOBS, limit=len(KNOBS))
    assert typing_mistakes(typed, near[0]) <= 1
    assert name in near


@given(words, words)
def test_mistakes_are_a_distance(one, other):
    """No mistake means the same word, and both ways there are as many."""
    mistakes = typing_mistakes(one, other)
    assert (mistakes == 0) == (one == other)
    assert mistakes == typing_mistakes(other, one)
    assert abs(len(one) - len(other)) <= mistakes <= max(len(one), len(other))


def test_a_short_table_is_shown_whole():
    """Where there are few names, a word that is like none still shows them all."""
    assert set(nearest_names("zzz", ["one", "two"])) == {"one", "two"}
    assert nearest_names("zzz", [f"name{i}" for i in range(9)]) == ()

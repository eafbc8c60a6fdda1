"""Knobs: the table is whole, and every name leads to the record that it means."""

from collections import Counter

import pytest

from dwindle.decay.coordinates import SCALES, family_of, penalty_convention_of
from dwindle.decay.equilibrium import EQUILIBRIA
from dwindle.decay.knob import Knob
from dwindle.decay.knobs import KNOBS, knobs, resolve_knob
from dwindle.decay.knobs.of_papers import PAPER_KNOBS
from dwindle.decay.knobs.rates import RATE_KNOBS
from dwindle.decay.resolve import resolve
from dwindle.errors import AmbiguousNameError, UnknownNameError

EVERY_NAME = [(name, knob) for knob in knobs() for name in (knob.name, *knob.aliases)]


@pytest.mark.parametrize("knob", knobs(), ids=lambda knob: knob.name)
def test_a_record_is_complete(knob):
    """Each knob says what it does and where that was read, and reads in known rules."""
    assert all((knob.formula, knob.unit, knob.symbol, knob.source))
    assert (knob.family is None) == (family_of(knob) is None)
    assert (knob.penalty is None) == (penalty_convention_of(knob) is None)
    assert knob.equilibrium in {None, *EQUILIBRIA}
    assert knob.scale in SCALES
    of_a_library = knob not in (*PAPER_KNOBS, *RATE_KNOBS)
    assert bool(knob.skips) == of_a_library
    # What cannot be installed was read nowhere but in its repository.
    readable = of_a_library and not knob.name.startswith(("tf.", "tfa."))
    assert (knob.default is not None) == readable
    assert bool(knob.version) == (of_a_library and knob.name != "tf.nn.l2_loss")


@pytest.mark.parametrize(("name", "knob"), EVERY_NAME, ids=lambda x: str(x)[:40])
def test_full_names_and_aliases_resolve(name, knob):
    """A full name or an alias leads to its own knob."""
    assert resolve_knob(name) is knob


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("torch.AdamW", "torch.optim.AdamW"),
        ("TORCH.adamw", "torch.optim.AdamW"),
        ("keras.AdamW", "keras.optimizers.AdamW"),
        ("torch.SGD", "torch.optim.SGD"),
        ("torch.Adam", "torch.optim.Adam"),
        ("RAdam", "torch.optim.RAdam"),
        ("Adam:decoupled", "torch.optim.Adam:decoupled"),
        ("ASGD:lambd", "torch.optim.ASGD:lambd"),
        ("keras.L2", "keras.regularizers.L2"),
        ("LogisticRegression", "sklearn.linear_model.LogisticRegression:C"),
        ("sigma", "gaussian-prior.sigma"),
        ("Half-Life", "half-life"),
        ("question.L2:layer-mean", "question.l2:layer-mean"),
    ],
)
def test_a_short_name_that_is_unique_resolves(short, full):
    """The end of a path, or its first and last word, does where one knob has it."""
    assert resolve_knob(short).name == full


def test_a_name_that_fits_several_lists_them():
    """An ambiguous name is refused with every candidate."""
    message = r"Got 'l2'.*keras.regularizers.L2, question.l2, bengio2012.l2"
    with pytest.raises(AmbiguousNameError, match=message) as caught:
        resolve_knob("l2")
    assert caught.value.candidates[1] == "question.l2"


@pytest.mark.parametrize("word", ["AdamW", "adamw", "ADAMW"])
def test_a_word_that_several_libraries_have_lists_them_all(word):
    """No library is meant before another; the error says what to write."""
    with pytest.raises(AmbiguousNameError, match=r"Write torch\.AdamW,") as caught:
        resolve_knob(word)
    assert caught.value.candidates[0] == "torch.optim.AdamW"
    last_words = {name: name.rpartition(".")[2].casefold() for name in KNOBS}
    assert set(caught.value.candidates) == {
        name for name, last in last_words.items() if last == "adamw"
    }
    assert all(name in str(caught.value) for name in caught.value.candidates)


def test_what_an_ambiguous_word_is_told_to_write_resolves():
    """Each hint is a name of the first candidate."""
    words = Counter(name.rpartition(".")[2].casefold() for name in KNOBS)
    for word in (word for word, times in words.items() if times > 1):
        with pytest.raises(AmbiguousNameError, match=r"Write .*\.") as caught:
            resolve_knob(word)
        hint = caught.value.hint
        written = hint.removeprefix("Write ").removesuffix(", for example.")
        assert resolve_knob(written).name == caught.value.candidates[0]


def test_the_exact_case_wins_for_full_names_only():
    """Two full names may differ in case only; a short name fits both of them."""
    table = {
        name: Knob(name=name, formula="f", unit="u") for name in ("a.Norm", "a.norm")
    }
    assert resolve("a.norm", table).name == "a.norm"
    for short in ("norm", "Norm", "A.NORM"):
        with pytest.raises(AmbiguousNameError, match=r"a.Norm, a.norm"):
            resolve(short, table)


@pytest.mark.parametrize(
    ("typo", "nearest"),
    [
        ("AdmW", "torch.optim.AdamW"),
        ("torch.optim.Admw", "torch.optim.AdamW"),
        ("half-live", "half-life"),
        ("keras.regularisers.L2", "keras.regularizers.L2"),
        ("neal.omega", "neal1996.omega"),
    ],
)
def test_a_name_that_does_not_exist_is_answered_with_the_nearest(typo, nearest):
    """A typo is refused, and what was meant comes first."""
    message = r"The knob must be one .*dwindle knobs"
    with pytest.raises(UnknownNameError, match=message) as caught:
        resolve_knob(typo)
    assert caught.value.nearest[0] == nearest


def test_the_table_is_keyed_by_name():
    """Every record stands under its own name, once."""
    assert [*KNOBS] == [knob.name for knob in knobs()]
    assert all(knob.name == name for name, knob in KNOBS.items())


def test_a_formula_is_said_with_the_symbol_of_the_knob():
    """The x of a formula becomes the knob's own letter, and no other letter does."""
    knob = resolve_knob("gaussian-prior.sigma")
    assert knob.said("λ = 1/(x²·N), exp(x)") == "λ = 1/(σ²·N), exp(σ)"

"""Knobs: the table is complete, and every name leads to its record."""

import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest

import dwindle.decay.knobs as table
from dwindle.decay.coordinates import SCALES, penalty_convention_of
from dwindle.decay.equilibrium import EQUILIBRIA
from dwindle.decay.families import family_of
from dwindle.decay.knob import Knob
from dwindle.decay.knobs import KNOBS, knobs, library_of, resolve_knob
from dwindle.errors import AmbiguousNameError, UnknownNameError

EVERY_NAME = [(name, knob) for knob in knobs() for name in (knob.name, *knob.aliases)]
COLUMNS = ("options", "skips", "note", "caution", "family")
SHARED_NAME = re.compile(r"\w+(-\w+)+")
RATES_AND_PAPERS = {"half-life and shrink", "papers"}


def faults_of(knob):
    """Fields that a record lacks, or whose value is unknown."""
    is_of_a_library = library_of(knob) not in RATES_AND_PAPERS
    # What cannot be installed was read nowhere but in its repository.
    is_readable = is_of_a_library and not knob.name.startswith(("tf.", "tfa."))
    holds = {
        "text": all((knob.formula, knob.unit, knob.symbol, knob.source)),
        # A misspelt name of a shared text would stand as a text itself.
        "name": not any(
            map(SHARED_NAME.fullmatch, (knob.note, knob.caution, knob.skips))
        ),
        "braces": "{" not in knob.formula.replace("n_{j+1}", "") + knob.source,
        "family": (knob.family is None) == (family_of(knob) is None),
        "penalty": (knob.penalty is None) == (penalty_convention_of(knob) is None),
        "equilibrium": knob.equilibrium in {None, *EQUILIBRIA},
        "scale": knob.scale in SCALES,
        "skips": bool(knob.skips) == is_of_a_library,
        "default": (knob.default is not None) == is_readable,
        "version": bool(knob.version)
        == (is_of_a_library and knob.name != "tf.nn.l2_loss"),
    }
    return [f"{knob.name}: {fact}" for fact, is_met in holds.items() if not is_met]


def test_every_record_is_complete():
    """Each knob has a formula, its source, and a known family or penalty."""
    assert [fault for knob in knobs() for fault in faults_of(knob)] == []


def test_every_shared_cell_of_the_table_is_used():
    """Every row of options, text and family is used by some knob."""
    written = tomllib.loads(Path(table.__file__).with_suffix(".toml").read_text())
    used = set()
    for library in written["library"]:
        for parts in library["knobs"].values():
            for row in (library, *(parts if isinstance(parts, list) else [parts])):
                used |= {(column, row.get(column)) for column in COLUMNS}
    shared = {(column, name) for column in COLUMNS for name in written[column]}
    assert shared - used == set()


def test_full_names_and_aliases_resolve():
    """A full name or an alias leads to its own knob."""
    wrong = {
        name: resolve_knob(name).name
        for name, knob in EVERY_NAME
        if resolve_knob(name) is not knob
    }
    assert wrong == {}


MEANT = {
    # The end of a path, or its first and last word, does where one knob has it.
    "torch.AdamW": "torch.optim.AdamW",
    "TORCH.adamw": "torch.optim.AdamW",
    "keras.AdamW": "keras.optimizers.AdamW",
    "torch.SGD": "torch.optim.SGD",
    "torch.Adam": "torch.optim.Adam",
    "RAdam": "torch.optim.RAdam",
    "Adam:decoupled": "torch.optim.Adam:decoupled",
    "ASGD:lambd": "torch.optim.ASGD:lambd",
    "keras.L2": "keras.regularizers.L2",
    "LogisticRegression": "sklearn.linear_model.LogisticRegression:C",
    "sigma": "gaussian-prior.sigma",
    "omega": "neal1996.omega",
    "Half-Life": "half-life",
    "question.L2:layer-mean": "question.l2:layer-mean",
    "tfa.optimizers.SGDW": "tfa.optimizers.SGDW",
    "bitsandbytes.PagedAdamW8bit": "bitsandbytes.optim.AdamW",
    "AdamW8bit": "bitsandbytes.optim.AdamW",
    # LIBRARY.CLASS.ARGUMENT is read as the class's own number.
    "sklearn.MLPClassifier.alpha": "sklearn.neural_network.MLPClassifier:adam",
    "MLPClassifier:sgd.alpha": "sklearn.neural_network.MLPClassifier:sgd",
    "sklearn.LogisticRegression.C": "sklearn.linear_model.LogisticRegression:C",
    # With the schedule that it has by default.
    "sklearn.SGDRegressor": "sklearn.linear_model.SGDRegressor:invscaling",
    "sklearn.SGDRegressor.alpha": "sklearn.linear_model.SGDRegressor:invscaling",
    "torch.optim.ASGD.lambd": "torch.optim.ASGD:lambd",
    "torch.optim.ASGD.weight_decay": "torch.optim.ASGD",
    "keras.L2.l2": "keras.regularizers.L2",
    "keras.optimizers.Muon.adam_weight_decay": "keras.optimizers.Muon:adam",
    "fastai.optimizer.Adam.wd": "fastai.optimizer.Adam",
}


def test_a_short_name_or_a_class_with_its_argument_is_its_knob():
    """Each way to write a name leads to the one knob that has it."""
    assert {typed: resolve_knob(typed).name for typed in MEANT} == MEANT


def ambiguous(word, beside=None):
    """The error for a word that fits several knobs."""
    with pytest.raises(AmbiguousNameError) as raised:
        resolve_knob(word, beside=None if beside is None else KNOBS[beside])
    return raised.value


def test_a_word_that_several_libraries_have_lists_them_all():
    """No library is preferred, in any case of the letters."""
    of_adamw = {
        knob.name
        for name, knob in EVERY_NAME
        if name.rpartition(".")[2].casefold() == "adamw"
    }
    for word in ("AdamW", "adamw", "ADAMW"):
        error = ambiguous(word)
        assert error.candidates[0] == "torch.optim.AdamW"
        assert set(error.candidates) == of_adamw
        assert all(name in str(error) for name in error.candidates)


def test_the_spelling_that_an_ambiguous_word_is_answered_with_resolves():
    """Each hint is a name of the first candidate."""
    words = Counter(name.rpartition(".")[2].casefold() for name in KNOBS)
    wrong = []
    for word in (word for word, times in words.items() if times > 1):
        error = ambiguous(word)
        written = error.hint.removeprefix("Write ").removesuffix(", for example.")
        if resolve_knob(written).name != error.candidates[0]:
            wrong.append((word, written))
    assert wrong == []


def test_the_exact_case_wins_for_full_names_only():
    """Two full names may differ in case only; a short name fits both of them."""
    names = ("a.Norm", "a.norm")
    two = {name: Knob(name=name, formula="f", unit="u") for name in names}
    assert resolve_knob("a.norm", table=two).name == "a.norm"
    for short in ("norm", "Norm", "A.NORM"):
        with pytest.raises(AmbiguousNameError) as raised:
            resolve_knob(short, table=two)
        assert raised.value.candidates == names


LISTED = {
    "l2": {"keras.regularizers.L2", "question.l2", "bengio2012.l2"},
    "alpha": {"mackay1992.alpha", "sklearn.linear_model.Ridge"},
    "Alpha": {"sklearn.neural_network.MLPClassifier:sgd"},
    "lambda": {"loshchilov2019.lambda", "question.l2", "torch.optim.SGD"},
    "C": {"sklearn.svm.LinearSVC:C", "sklearn.linear_model.LogisticRegression:C"},
    "decay": {"answer.decay", "torch.optim.SGD", "torch.optim.AdamW"},
    "wd": {"torch.optim.AdamW", "timm.adamw"},
    "weight_decay": {"torch.optim.AdamW", "optax.adamw"},
    "sklearn": {"sklearn.neural_network.MLPClassifier:sgd"},
    "coefficient": {"tf.nn.l2_loss"},
    "optax.add_decayed_weights": {"optax.add_decayed_weights:before-sgd"},
}


def test_the_name_of_an_argument_or_a_library_lists_what_has_it():
    """A bare word is not resolved to a paper's knob, or to the only one with it."""
    lacking = {word: LISTED[word] - set(ambiguous(word).candidates) for word in LISTED}
    assert {word: names for word, names in lacking.items() if names} == {}


NEAREST = {
    "AdmW": ("torch.optim.AdamW", "dwindle knobs"),
    "torch.optim.Admw": ("torch.optim.AdamW", "dwindle knobs"),
    "half-live": ("half-life", "dwindle knobs"),
    "keras.regularisers.L2": ("keras.regularizers.L2", "dwindle knobs"),
    "neal.omega": ("neal1996.omega", "dwindle knobs"),
    # Keras's old decay= moves the lr, momentum is no decay, a typo is the class's.
    "keras.Adam.decay": ("keras.optimizers.Adam", "lowers the lr"),
    "torch.SGD.momentum": ("torch.optim.SGD", "weight_decay"),
    "torch.AdamWW.weight_decay": ("torch.optim.AdamW", "dwindle knobs"),
}


@pytest.mark.parametrize(("typed", "expected"), NEAREST.items())
def test_a_name_that_does_not_exist_is_answered_with_the_nearest(typed, expected):
    """What was meant comes first; another argument of a class is no decay of it."""
    with pytest.raises(UnknownNameError) as raised:
        resolve_knob(typed)
    assert raised.value.nearest[0] == expected[0]
    assert expected[1] in raised.value.hint


def test_the_library_of_the_other_knob_is_meant_first():
    """Where the other knob's library has the name once, that one is taken."""
    expected = {
        ("lion", "optax.adamw"): "optax.lion",
        ("Lion", "keras.optimizers.AdamW"): "keras.optimizers.Lion",
        ("SGDW", "timm.adamw"): "timm.sgdw",
        ("adam", "torch.optim.AdamW"): "torch.optim.Adam",
    }
    found = {
        (word, beside): resolve_knob(word, beside=KNOBS[beside]).name
        for word, beside in expected
    }
    assert found == expected


def test_an_ambiguous_word_advises_what_fits_the_other_knob():
    """The suggested name is one that can be converted to."""
    advised = {
        ("lion", "torch.optim.AdamW"): "timm.lion",  # what runs on torch first
        ("SGDW", None): "timm.sgdw",  # no retired library
        ("SGDW", "torch.optim.AdamW"): "timm.sgdw",
        ("SGD", "keras.regularizers.L2"): "torch.SGD",  # which has a penalty
    }
    found = {each: ambiguous(*each).hint for each in advised}
    assert found == {
        each: f"Write {name}, for example." for each, name in advised.items()
    }


def names_meant_by(typed):
    """The resolved knob, or all candidates."""
    try:
        return (resolve_knob(typed).name,)
    except AmbiguousNameError as error:
        return error.candidates


def test_every_knob_is_found_under_its_class_and_argument():
    """NAME.SYMBOL of each optimizer leads back to its class, or lists its variants."""
    wrong = []
    for knob in knobs():
        if knob.family is None or not knob.symbol.isidentifier():
            continue
        path = knob.name.partition(":")[0]
        meant = names_meant_by(f"{path}.{knob.symbol}")
        is_right = (
            all(KNOBS[name].symbol == knob.symbol for name in meant)
            and {name.partition(":")[0] for name in meant} == {path}
            and (len(meant) == 1 or knob.name in meant)
        )
        if not is_right:
            wrong.append((knob.name, meant))
    assert wrong == []

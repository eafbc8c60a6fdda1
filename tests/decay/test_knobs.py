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
    assert set(caught.value.candidates) == {
        knob.name
        for name, knob in EVERY_NAME
        if name.rpartition(".")[2].casefold() == "adamw"
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


@pytest.mark.parametrize(
    ("word", "some"),
    [
        ("alpha", {"mackay1992.alpha", "sklearn.linear_model.Ridge"}),
        ("Alpha", {"sklearn.neural_network.MLPClassifier:sgd"}),
        ("lambda", {"loshchilov2019.lambda", "question.l2", "torch.optim.SGD"}),
        ("C", {"sklearn.svm.LinearSVC:C", "sklearn.linear_model.LogisticRegression:C"}),
        ("decay", {"answer.decay", "torch.optim.SGD", "torch.optim.AdamW"}),
        ("wd", {"torch.optim.AdamW", "timm.adamw"}),
        ("weight_decay", {"torch.optim.AdamW", "optax.adamw"}),
        ("sklearn", {"sklearn.neural_network.MLPClassifier:sgd"}),
        ("coefficient", {"tf.nn.l2_loss"}),
        ("optax.add_decayed_weights", {"optax.add_decayed_weights:before-sgd"}),
        ("sklearn.SGDRegressor", {"sklearn.linear_model.SGDRegressor:constant"}),
        ("sklearn.SGDRegressor.alpha", {"sklearn.linear_model.SGDRegressor:constant"}),
    ],
)
def test_the_name_of_an_argument_or_a_library_lists_what_has_it(word, some):
    """A bare word is never taken for a paper's, nor for the only one that has it."""
    with pytest.raises(AmbiguousNameError, match=r"Write .*, for example") as caught:
        resolve_knob(word)
    assert some <= set(caught.value.candidates)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("sklearn.MLPClassifier.alpha", "sklearn.neural_network.MLPClassifier:adam"),
        ("MLPClassifier:sgd.alpha", "sklearn.neural_network.MLPClassifier:sgd"),
        ("sklearn.LogisticRegression.C", "sklearn.linear_model.LogisticRegression:C"),
        ("torch.optim.ASGD.lambd", "torch.optim.ASGD:lambd"),
        ("torch.optim.ASGD.weight_decay", "torch.optim.ASGD"),
        ("keras.L2.l2", "keras.regularizers.L2"),
        ("keras.optimizers.Muon.adam_weight_decay", "keras.optimizers.Muon:adam"),
        ("fastai.optimizer.Adam.wd", "fastai.optimizer.Adam"),
        ("tfa.optimizers.SGDW", "tfa.optimizers.SGDW"),
        ("bitsandbytes.PagedAdamW8bit", "bitsandbytes.optim.AdamW"),
        ("AdamW8bit", "bitsandbytes.optim.AdamW"),
        ("omega", "neal1996.omega"),
    ],
)
def test_a_class_with_its_argument_is_its_knob(typed, name):
    """LIBRARY.CLASS.ARGUMENT is read as the class's own number."""
    assert resolve_knob(typed).name == name


@pytest.mark.parametrize(
    ("typed", "nearest", "hint"),
    [
        (
            "keras.Adam.decay",
            "keras.optimizers.Adam",
            r"lowers the lr.*no weight decay",
        ),
        ("torch.SGD.momentum", "torch.optim.SGD", "calls its decay weight_decay"),
        ("torch.AdamWW.weight_decay", "torch.optim.AdamW", "dwindle knobs"),
    ],
)
def test_another_argument_of_a_class_is_told_from_its_decay(typed, nearest, hint):
    """Keras's old decay= moves the lr, momentum is no decay, a typo is the class's."""
    with pytest.raises(UnknownNameError, match=hint) as caught:
        resolve_knob(typed)
    assert caught.value.nearest[0] == nearest


@pytest.mark.parametrize(
    ("word", "beside", "name"),
    [
        ("lion", "optax.adamw", "optax.lion"),
        ("Lion", "keras.optimizers.AdamW", "keras.optimizers.Lion"),
        ("SGDW", "timm.adamw", "timm.sgdw"),
        ("adam", "torch.optim.AdamW", "torch.optim.Adam"),
    ],
)
def test_the_library_of_the_source_is_meant_first(word, beside, name):
    """Where the other knob's library has the name once, that one is taken."""
    assert resolve_knob(word, beside=KNOBS[beside]).name == name


@pytest.mark.parametrize(
    ("word", "beside", "advised"),
    [
        ("lion", "torch.optim.AdamW", "timm.lion"),  # what runs on torch first
        ("SGDW", None, "timm.sgdw"),  # no retired library
        ("SGDW", "torch.optim.AdamW", "timm.sgdw"),
        ("SGD", "keras.regularizers.L2", "torch.SGD"),  # which has a penalty
    ],
)
def test_an_ambiguous_word_advises_what_fits_the_other_knob(word, beside, advised):
    """The example to write is one that the question can be answered with."""
    other = KNOBS[beside] if beside else None
    with pytest.raises(AmbiguousNameError, match=f"Write {advised}, for example"):
        resolve_knob(word, beside=other)


def names_meant_by(typed):
    """The knob that is meant, or all that may be."""
    try:
        return (resolve_knob(typed).name,)
    except AmbiguousNameError as error:
        return error.candidates


def test_every_knob_is_found_under_its_class_and_argument():
    """NAME.SYMBOL of each optimizer leads back to its class, or lists its variants."""
    for knob in knobs():
        if knob.family is None or not knob.symbol.isidentifier():
            continue
        path = knob.name.partition(":")[0]
        meant = names_meant_by(f"{path}.{knob.symbol}")
        assert all(KNOBS[name].symbol == knob.symbol for name in meant)
        assert {name.partition(":")[0] for name in meant} == {path}
        assert len(meant) == 1 or knob.name in meant

"""A knob and its value may be texts, in either order, a class, or a live optimizer."""

import pytest
import torch
from tolerance import digits

from dwindle.decay.convert import convert
from dwindle.decay.explain import explain
from dwindle.decay.knobs import KNOBS, knobs
from dwindle.decay.python_inputs import knob_name, read_input, run_of
from dwindle.decay.rescale import rescale
from dwindle.decay.run import Run
from dwindle.errors import RefusedError, UnknownNameError, UsageError

RUN = Run(lr=1e-3, batch_size=100, dataset_size=1000, epochs=2)


def weights(count=2):
    return [torch.nn.Parameter(torch.ones(2, 2)) for _ in range(count)]


PAIRS = [
    ("torch.optim.AdamW", 0.1),
    ("torch.optim.AdamW", "0.1"),
    ("0.1", "torch.optim.AdamW"),
    (torch.optim.AdamW, 0.1),
    (0.1, torch.optim.AdamW),
    (torch.tensor(0.1, dtype=torch.float64), torch.optim.AdamW),
    ("torch.optim.AdamW=0.1",),
    ("0.1=torch.optim.AdamW",),
]


def test_the_order_and_the_kind_make_no_difference():
    """Each way of writing AdamW's 0.1 gives the same result, in all three functions."""
    usual = answered(0.1, "torch.optim.AdamW")
    for pair in PAIRS:
        assert answered(*pair) == usual, pair
    # A half-life's text starts like a number, as no knob does; a target is read alike.
    assert explain("half-life", "3 epochs").value == 3
    assert read_input("half-life", "20% of the run").knob == "half-life"
    there = convert(5e-4, "keras.regularizers.L2", to=torch.optim.SGD)
    assert (there.to, there.value) == ("torch.optim.SGD", 1e-3)


def answered(*pair):
    explained = explain(*pair, run=RUN).as_dict()
    # How a text was read is all that may differ.
    rescaled = rescale(*pair, before=RUN, after=RUN).as_dict()
    return explained, convert(*pair, to="half-life:steps", run=RUN), rescaled


def test_every_class_of_torch_is_its_knob():
    """A class that torch.optim offers is found under its public path."""
    names = {each for each in KNOBS if each.startswith("torch.optim.")}
    for name in sorted(each for each in names if ":" not in each):
        assert knob_name(getattr(torch.optim, name.rpartition(".")[2])) == name


def test_a_live_optimizer_is_knob_value_and_facts():
    """lr, momentum and Nesterov of its groups hold, as if they had been typed."""
    options = {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}
    optimizer = torch.optim.SGD(weights(), **options)
    found = explain(optimizer, run={"steps": 100})
    facts = {"lr": 0.1, "momentum": 0.9, "nesterov": True, "steps": 100}
    assert found == explain(5e-4, "torch.optim.SGD", run=Run(**facts))
    # As torch itself does it: a weight with zero gradient, a hundred steps.
    (weight, _) = optimizer.param_groups[0]["params"]
    for _ in range(100):
        weight.grad = torch.zeros_like(weight)
        optimizer.step()
    # 1e-5: a hundred steps in float32.
    assert found.kept == digits(weight[0, 0].item(), rel=1e-5)


def test_the_lr_of_a_live_optimizer_is_the_one_at_the_peak():
    """A scheduler that has begun to warm up has written the peak beside it."""
    optimizer = torch.optim.AdamW(weights(), lr=1e-2, weight_decay=0.1)
    torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=5)
    assert optimizer.param_groups[0]["lr"] == digits(1e-3, rel=1e-12)
    assert explain(optimizer).shrink_per_step == digits(1e-3, rel=1e-12)


def test_what_is_given_beside_an_optimizer_holds():
    """A fact and a value of the caller override those of the optimizer."""
    optimizer = torch.optim.AdamW(weights(), lr=1e-2, weight_decay=0.1)
    assert explain(optimizer, 0.2, run=Run(lr=1e-3)).shrink_per_step == 2e-4
    there = convert(optimizer, to="torch.optim.SGD", run_after={"lr": 0.1})
    assert there.value == digits(1e-2, rel=1e-12)


SGD = {"lr": 0.1, "momentum": 0.9}
LIVE_PAIRS = [
    # s = 1e-3·0.1, and s·(1 − μ − s)/((1 − s)·lr)
    ((torch.optim.AdamW, 0.1, {"lr": 1e-3}), (torch.optim.SGD, SGD), 9.990999e-5),
    # 1 − the slow root of z² − (1.9 − 5e-5)·z + 0.9, over 1e-3
    ((torch.optim.SGD, 5e-4, SGD), (torch.optim.AdamW, {"lr": 1e-3}), 0.5022716),
    ((torch.optim.AdamW, 0.1, {"lr": 1e-3}), (torch.optim.AdamW, {"lr": 1e-2}), 1e-2),
]


def test_a_live_target_has_its_own_facts():
    """lr and momentum of the optimizer at the target are those at the target."""
    for (kind, decay, options), (there, facts), value in LIVE_PAIRS:
        here = kind(weights(), weight_decay=decay, **options)
        live = there(weights(), **facts)
        found = convert(here, to=live, keep="step")
        # 1e-6: the digits that the numbers above have.
        assert found.value == digits(value, rel=1e-6)
        assert found == convert(here, to=there, run_after=facts, keep="step")


def test_groups_of_a_target_may_decay_differently():
    """The decay of a live target is not read; only its facts must be alike."""
    first, second = weights()
    groups = [{"params": [first]}, {"params": [second], "weight_decay": 0.0}]
    live = torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.1)
    run = {"batch_size": 100, "dataset_size": 1000}
    there = convert("half-life", "3 epochs", to=live, run=run)
    named = convert(
        "half-life", "3 epochs", to="torch.optim.AdamW", run=run | {"lr": 1e-3}
    )
    assert (there.value, there.fidelity) == (named.value, named.fidelity)


def test_a_fact_that_contradicts_a_live_optimizer_is_named():
    """The given fact is used, and a note has that of the live optimizer."""
    optimizer = torch.optim.AdamW(weights(), lr=1e-2, weight_decay=0.1)
    note = "The lr that was given, 0.001, is used; the live torch.optim.AdamW has 0.01."
    assert note in explain(optimizer, run={"lr": 1e-3}).understood
    assert explain(optimizer, run={"lr": 1e-2}).understood == ()
    for given in ({"run": {"lr": 1e-3}}, {"run": RUN, "run_after": {"lr": 0.1}}):
        assert note in convert(optimizer, to="torch.optim.SGD", **given).assumptions
    target = {"to": optimizer, "run": RUN, "run_after": {"lr": 1e-3}}
    assert note in convert(0.1, "torch.optim.SGD", **target).assumptions
    facts = {"run": {"lr": 1e-3}, "to": optimizer}
    found = convert(0.1, "torch.optim.SGD", **facts)
    assert found.value == digits(1e-2, rel=1e-12)
    assert found.assumptions[0].startswith("The lr of torch.optim.AdamW ")
    assert note in rescale(optimizer, before=RUN, after=RUN).notes


def test_facts_that_only_the_side_before_has_are_named():
    """No fact is carried over from before to after, and the printout names them."""
    there = rescale(0.1, "torch.AdamW", before=RUN, after={"lr": 2e-3})
    (note,) = there.notes
    assert "batch_size, dataset_size, epochs" in note
    assert rescale(0.1, "torch.AdamW", before=RUN, after=RUN).notes == ()


class Optional(torch.optim.SGD):
    """An SGD of another library, with an option that its record does not know."""

    def __init__(self, params, *, cautious_weight_decay=False, **options):
        super().__init__(params, **options)
        self.defaults["cautious_weight_decay"] = cautious_weight_decay
        for group in self.param_groups:
            group["cautious_weight_decay"] = cautious_weight_decay


Optional.__module__, Optional.__name__ = "torch.optim.sgd", "SGD"


def test_an_option_that_bears_on_decay_and_is_not_known_is_refused():
    """An unknown option is refused by name; labels of the user are ignored."""
    usual = Optional(weights(), lr=0.1, weight_decay=5e-4)
    usual.param_groups[0]["decay_label"] = "matrices"
    assert explain(usual).value == 5e-4
    other = Optional(weights(), lr=0.1, cautious_weight_decay=True)
    with pytest.raises(RefusedError) as raised:
        explain(other)
    assert "cautious_weight_decay=True" in raised.value.asked


def test_a_flag_of_a_group_is_another_knob():
    """Adam with decoupled_weight_decay is not torch.optim.Adam's L2."""
    for kind, flag, name in (
        (torch.optim.Adam, True, "torch.optim.Adam:decoupled"),
        (torch.optim.Adam, False, "torch.optim.Adam"),
        (torch.optim.AdamW, None, "torch.optim.AdamW"),
    ):
        options = {} if flag is None else {"decoupled_weight_decay": flag}
        optimizer = kind(weights(), lr=1e-3, weight_decay=0.1, **options)
        assert explain(optimizer).knob == name


def test_facts_may_be_a_mapping():
    """A mapping is a Run; the error for an unknown name has the nearest one."""
    assert run_of({"lr": 0.1, "schedule": "cosine"}) == Run(lr=0.1, schedule="cosine")
    facts = {"lr": 1e-3, "batch_size": 100, "dataset_size": 1000, "epochs": 2}
    assert rescale(0.1, "torch.AdamW", before=facts, after=facts) == rescale(
        0.1, "torch.AdamW", before=RUN, after=RUN
    )
    elsewhere = {"learning_rate": "lr", "mu": "momentum", "scheduler": "schedule"}
    for wrong, right in (elsewhere | {"batchsize": "batch_size"}).items():
        with pytest.raises(UnknownNameError) as unknown:
            run_of({wrong: 1})
        assert (unknown.value.name, unknown.value.nearest[0]) == (wrong, right)
    with pytest.raises(UsageError) as raised:
        rescale(0.1, "torch.AdamW", before=3, after=RUN)
    assert raised.value.got == "3"


def test_the_table_can_be_filtered():
    """knobs("lamb") is what ``dwindle knobs lamb`` lists."""
    assert {"timm.lamb", "optax.lamb"} <= {knob.name for knob in knobs("lamb")}
    for knob in knobs("lamb"):
        assert "lamb" in " ".join((knob.name, *knob.aliases)).casefold()
    with pytest.raises(UnknownNameError) as raised:
        knobs("lambb")
    assert any("lamb" in each for each in raised.value.nearest)


def live(path, group, *, attributes=None):
    """An object with groups of a class that another library has."""

    def made(self, *, decouple_lr=False):  # noqa: ARG001  # an option of optimi
        self.param_groups, self.defaults = [group] if group else [], group

    module, _, name = path.rpartition(".")
    kind = type(name, (), {"__init__": made, "__module__": module})
    optimizer = kind()
    vars(optimizer).update(attributes or {})
    return optimizer


def test_groups_of_other_libraries_are_read_as_they_write_them():
    """Momentum among the betas, a dampening that is a flag, a wrapper, no lr at all."""
    usual = {"lr": 0.1, "weight_decay": 1e-4}
    dampened = usual | {"momentum": 0.9, "dampening": True}
    cases = [
        ("bitsandbytes.optim.SGD", usual | {"betas": (0.9, 0.0)}, {"momentum": 0.9}),
        ("optimi.SGD", dampened, {"momentum": 0.9, "dampening": 0.9}),
        ("optimi.Adan", usual | {"beta1": 0.9, "beta2": 0.9, "beta3": 0.9}, {}),
    ]
    for path, group, facts in cases:
        found = explain(live(path, group))
        typed = explain(1e-4, path, run=Run(lr=0.1, **facts))
        assert found.shrink_per_step == typed.shrink_per_step, path
        assert found.knob == typed.knob
    adamw = torch.optim.AdamW(weights(), lr=0.1, weight_decay=1e-4)
    wrapped = live(
        "accelerate.optimizer.AcceleratedOptimizer", {}, attributes={"optimizer": adamw}
    )
    assert explain(wrapped) == explain(adamw)
    without = live("optimi.AdamW", {"weight_decay": 0.1})
    assert explain(without, run={"lr": 1e-3}) == explain(
        0.1, "optimi.AdamW", run={"lr": 1e-3}
    )


class Mine(torch.optim.AdamW):
    """A subclass, which may step otherwise."""


class WithoutGroups:
    """Stands in for an optimizer of Keras, whose options nobody reads."""


WithoutGroups.__module__, WithoutGroups.__name__ = "keras.optimizers", "SGD"
UNLIKE = torch.optim.AdamW(
    [{"params": weights(1)}, {"params": weights(1), "weight_decay": 0.0}],
    lr=1e-3,
    weight_decay=0.1,
)
# Arguments, and what the error has got.
USAGES = [
    *(((0.1, *more), repr((0.1, *more)[-1])) for more in ((), (0.2,))),
    *(((None, each), repr(each)) for each in (0.1, None)),
    ((0.1, WithoutGroups()), "keras.optimizers.SGD"),
    ((live("optimi.AdamW", {}),), "no group"),
    ((live("optimi.AdamW", {"lr": 0.1}),), "lr"),
    # One answer for two groups would be wrong for one of them.
    ((UNLIKE,), "group 0: torch.optim.AdamW = 0.1, lr 0.001"),
    ((UNLIKE,), "group 1: "),
]


def test_half_a_question_and_unlike_groups_are_refused():
    """Knob and value must both be given, and all groups must be alike."""
    for question, got in USAGES:
        with pytest.raises(UsageError) as raised:
            explain(*question)
        assert got in raised.value.got
    with pytest.raises(UsageError) as raised:
        convert(0.1, "L2", to=WithoutGroups())
    assert raised.value.got.endswith(" keras.optimizers.SGD")
    alike = torch.optim.AdamW([{"params": [each]} for each in weights()], lr=1e-3)
    assert explain(alike).value == 0.01


def test_what_no_record_is_about_is_refused():
    """The error for a subclass names its base; a decay over another lr is refused."""
    for kind, nearest in ((Mine, ("torch.optim.AdamW",)), (torch.nn.Linear(2, 2), ())):
        with pytest.raises(UnknownNameError) as unknown:
            explain(kind, 0.1)
        assert unknown.value.nearest == nearest
    group = {"lr": 1e-3, "max_lr": 1e-2, "weight_decay": 1e-4, "decouple_lr": True}
    with pytest.raises(RefusedError) as refused:
        explain(live("optimi.AdamW", group))
    assert "1e-05" in refused.value.instead  # 1e-4 · 1e-3/1e-2

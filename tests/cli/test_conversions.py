"""dwindle convert, explain and rescale: what is typed arrives, and JSON has it all."""

import json
import math

import pytest
from cli.lines import as_json, error_of, run
from tolerance import digits

from dwindle.decay.convert import convert
from dwindle.decay.explain import explain
from dwindle.decay.python_inputs import run_of
from dwindle.decay.rescale import rescale
from dwindle.decay.rules import RULES
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.wording import time_cell

ADAMW = "torch.optim.AdamW"
FIELDS = {
    "convert": "from value_from to value unit fidelity assumptions formula layers "
    "keeps unused decay_schedule",
    "explain": "knob value family shrink_per_step half_life half_life_average e_folds "
    "kept equilibrium_rms rms_at_end rotation_per_step penalty warnings update "
    "understood summary strength lr_stays among decay_schedule",
    "rescale": "knob before unchanged recommendation rules",
}
SIZES = "--batch-size 512 --dataset-size 1281167 --epochs 90"
SHAPE = "--schedule cosine --warmup 0.05 --final-lr 0.1"
LINES = {
    "convert": "convert 'half-life=3 epochs' --to torch.AdamW --lr 3e-4 "
    f"{SIZES} {SHAPE}",
    "explain": "explain torch.optim.SGD=5e-4 --lr 0.1 --momentum 0.9 --no-nesterov "
    f"--betas 0.8,0.95 {SIZES} {SHAPE}",
    "rescale": "rescale torch.AdamW=0.1 --lr 3e-4:8e-4 --batch-size 256:2048 "
    "--dataset-size 1281167 --epochs 90:30",
}


def in_python():
    """What Python answers to the same three questions."""
    sizes = {"dataset_size": 1_281_167, "epochs": 90}
    shape = Schedule(shape="cosine", warmup=0.05, final=0.1)
    run = Run(lr=3e-4, batch_size=512, schedule=shape, **sizes)
    more = {"momentum": 0.9, "nesterov": False, "betas": (0.8, 0.95)}
    sgd = Run(lr=0.1, batch_size=512, schedule=shape, **sizes, **more)
    before = Run(lr=3e-4, batch_size=256, **sizes)
    after = Run(lr=8e-4, batch_size=2048, dataset_size=1_281_167, epochs=30)
    return {
        "convert": convert("3 epochs", "half-life", to="torch.AdamW", run=run),
        "explain": explain("5e-4", "torch.optim.SGD", run=sgd),
        "rescale": rescale(0.1, "torch.AdamW", before=before, after=after),
    }


def test_the_json_is_what_python_returns_with_the_documented_fields(capsys):
    """Every fact that is typed arrives, and every field is printed, in order."""
    there = in_python()
    for name, line in LINES.items():
        document = as_json(line, capsys)
        assert list(document) == FIELDS[name].split()
        assert document == json.loads(json.dumps(there[name].as_dict()))


# Convert ---------------------------------------------------------------------------


def test_a_change_is_written_before_and_after(capsys):
    """before:after gives the one lr to the old knob and the other to the new one."""
    line = "convert torch.optim.AdamW=0.1 --to torch.AdamW --lr 1e-3:2e-3"
    # the shrink lr·λ is kept; rounding of three operations on floats
    assert as_json(line, capsys)["value"] == pytest.approx(0.05, rel=1e-12)


def test_everywhere_has_each_conversion_as_it_is_alone(capsys):
    """--to all types the decay in each knob that can hold it, and lists the others."""
    line = "convert torch.AdamW=0.1 --lr 1e-3 --to"
    document = as_json(f"{line} all", capsys)
    assert list(document) == ["from", "value_from", "to", "conversions", "refused"]
    head = (document["from"], document["value_from"], document["to"])
    assert head == ("torch.optim.AdamW", 0.1, "all")
    fields = tuple(FIELDS["convert"].split())
    assert {tuple(each) for each in document["conversions"]} == {fields}
    assert as_json(f"{line} half-life:steps", capsys) in document["conversions"]
    found = {each["to"]: each["fidelity"] for each in document["conversions"]}
    assert found["optax.adamw"] == "same-trajectory"
    assert found["keras.optimizers.AdamW"] == "same-decay"
    assert all(each["reason"] and each["knobs"] for each in document["refused"])


# Explain ---------------------------------------------------------------------------


def codes(document):
    return {warning["code"] for warning in document["warnings"]}


def test_a_time_is_written_as_its_clock_has_it():
    """Counts have separators or letters; a share of the run is a percentage or runs."""
    expected = {
        ("steps", 6931.1): "6,931",
        ("steps", 1_771_904.0): "1.77M",
        ("epochs", 35.4567): "35.5",
        ("run", 0.1773): "17.7%",
        ("run", 1848.39): "1,848 runs",
        ("tokens", None): "–",
        ("steps", math.inf): "–",
    }
    assert {case: time_cell(case[0], dict([case])) for case in expected} == expected


def test_a_value_before_its_knob_is_read(capsys):
    """0.1=torch.AdamW is torch.AdamW=0.1; the path that Python prints is read too."""
    named = {
        "0.1=torch.AdamW": "torch.optim.AdamW",
        "torch.optim.sgd.SGD=0.1": "torch.optim.SGD",
        "torch.optim.adamw.AdamW=0.1": "torch.optim.AdamW",
        "torch.optim._muon.Muon=0.1": "torch.optim.Muon",
        "bitsandbytes.optim.lion.Lion=0.1": "bitsandbytes.optim.Lion",
    }
    documents = {word: as_json(f"explain {word}", capsys) for word in named}
    assert {word: found["knob"] for word, found in documents.items()} == named
    assert {found["value"] for found in documents.values()} == {0.1}


def test_an_lr_of_zero_is_explained_and_converts_into_no_number(capsys):
    """A frozen layer's weights stay, where the decay is multiplied by the lr."""
    kept = {"torch.optim.SGD": 1.0, "torch.AdamW": 1.0, "tfa.AdamW": 0.9**10}
    for knob, left in kept.items():
        document = as_json(f"explain {knob}=0.1 --lr 0 --steps 10", capsys)
        assert document["kept"] == pytest.approx(left, rel=1e-12)
        assert document["equilibrium_rms"] is None
        assert "no-lr" in codes(document)
    error = error_of("convert torch.SGD=1e-4 --to torch.AdamW --lr 0.1:0", capsys)
    assert error["facts"]["name"] == "lr"


def test_a_batch_in_tokens_gives_no_examples(capsys):
    """500,000 tokens in a step are no 500,000 examples; the tokens are exact."""
    line = "explain torch.AdamW=0.1 --lr 1e-3 --batch-tokens 500000"
    document = as_json(line, capsys)
    assert document["half_life"]["examples"] is None
    # 1e-12: rounding alone.
    steps, tokens = (document["half_life"][name] for name in ("steps", "tokens"))
    assert tokens == digits(500_000 * steps, rel=1e-12)
    texts = " ".join(each["text"] for each in document["warnings"])
    assert "--batch-size with --tokens-per-example" in texts


def test_there_is_no_equilibrium_without_the_momentum(capsys):
    """bitsandbytes' SGD has no run without a momentum: no size and no turn either."""
    document = as_json("explain bitsandbytes.SGD=1e-3 --lr 0.05", capsys)
    assert document["rotation_per_step"] is document["shrink_per_step"] is None
    assert "equilibrium-noise" not in codes(document)
    line = "explain bitsandbytes.SGD=1e-3 --lr 0.05 --momentum 0.9"
    assert as_json(line, capsys)["rotation_per_step"] is not None


# Rescale ---------------------------------------------------------------------------


def test_every_rule_has_a_value_or_a_reason(capsys):
    """Where a rule does not apply its value is null with a reason, never 0."""
    document = as_json(LINES["rescale"], capsys)
    assert document["before"]["value"] == document["unchanged"]["value"] == 0.1
    assert [each["rule"] for each in document["rules"]] == [rule.name for rule in RULES]
    for each in document["rules"]:
        assert (each["value"] is None) is not each["applies"]
        assert bool(each["why_not"]) is not each["applies"]


TOKENS = "--lr 6e-4 --tokens 20e9:100e9 --batch-tokens 524288"
LENGTH = "--batch-size 512 --tokens-per-example 1024:2048 --steps 10000"
# Four digits, by hand; more of them are in tests/decay/test_rules.py.
GROWN = [
    # B/(lr·τ·D) with τ ∝ (D/P)^-0.527: 0.1 · (1.3e9/124e6)^-0.527.
    ("--lr 6e-4 --steps 10000 --parameters 124e6:1.3e9", "power-lines", 0.02898),
    # Twice the length: lr times √2 and 0.0707, and at the old lr it does not apply.
    (f"--lr 6e-4:8.4853e-4 {LENGTH}", "nanochat", 0.07071),
    (f"--lr 6e-4 {LENGTH}", "nanochat", None),
    # Five times the tokens at one batch: D^-0.473.
    (TOKENS, "power-lines", 0.1 * 5**-0.473),
]


@pytest.mark.parametrize(("facts", "rule", "expected"), GROWN)
def test_a_language_model_grows(facts, rule, expected, capsys):
    """Sequences, parameters and tokens change the values of rules about them."""
    rules = as_json(f"rescale torch.AdamW=0.1 {facts}", capsys)["rules"]
    found = {each["rule"]: each["value"] for each in rules}[rule]
    assert found == (expected and pytest.approx(expected, rel=2e-4))


@pytest.mark.parametrize(
    ("facts", "same"),
    [
        ("--lr 1e-3:linear --batch-size 256:2048", "--lr 1e-3:8e-3"),
        ("--lr 1e-3:sqrt --batch-size 256:1024", "--lr 1e-3:2e-3"),
        ("--lr 1e-3:sqrt --batch-size 256 --tokens-per-example 8:32", "--lr 1e-3:2e-3"),
        ("--lr 1e-3:sqrt --batch-tokens 1e6:4e6", "--lr 1e-3:2e-3"),
        ("--lr 3e-4:linear --batch-size 256:x8", "--lr 3e-4:2.4e-3"),
        ("--lr 3e-4:sqrt --tokens 20B:x5 --batch-tokens 0.5M:2M", "--lr 3e-4:6e-4"),
    ],
)
def test_an_lr_goes_with_the_batch(facts, same, capsys):
    """linear and sqrt stand for the lr after the change, and x8 for eight times."""
    _, _, *rest = facts.split()
    as_number = " ".join([same, *rest]).replace("256:x8", "256:2048")
    lines = [f"rescale torch.AdamW=0.1 {each}" for each in (facts, as_number)]
    found, there = (as_json(line, capsys) for line in lines)
    assert found == there
    half_life = found["before"]["half_life"]["tokens"]
    if "tokens 20B" in facts:
        assert half_life == pytest.approx(math.log(2) / 3e-5 * 0.5e6, rel=1e-4)


def test_what_was_measured_comes_first(capsys):
    """Of all answers, those that rest on a measurement stand above the others."""
    shown = run(f"rescale torch.AdamW=0.1 {TOKENS} --all", capsys)[1]
    rows = shown.partition("tested on")[2]
    assert 0 < rows.index("power-lines") < rows.index("half-life-examples")
    below = rows.partition("Rules whose authors measured such a change")[2]
    assert "power-lines" in below
    assert "half-life-examples" not in below


# Facts as people type them ------------------------------------------------------


def test_python_reads_the_same_facts():
    """Mappings may have tokens, x8, an lr by the batch and a schedule's parameters."""
    before = {"lr": 1e-3, "tokens": "20B", "batch_tokens": "0.5M"}
    after = {"lr": "sqrt", "tokens": "x5", "batch_tokens": "x4"}
    found = rescale(0.1, ADAMW, before=before, after=after)
    assert found.unchanged.shrink_per_step == digits(2e-4, rel=1e-12)
    there = convert(0.1, ADAMW, to=ADAMW, run=before, run_after=after, keep="run")
    assert there.value == digits(0.04, rel=1e-3)
    run = run_of({"schedule": "multistep", "milestones": "2,3 steps", "steps": 4})
    assert run.multipliers() == (1, 1, 0.1, digits(0.01, rel=1e-15))


def test_lrs_of_a_table_or_a_list(capsys, tmp_path):
    """A column named lr, or the only one: every step's, or every epoch's."""
    lrs = [0.1, 0.1, 0.05, 0.01]
    hand = -math.fsum(math.log1p(-0.2 * lr) for lr in lrs)
    table = tmp_path / "lrs.csv"
    texts = (
        "step,lr,loss\n" + "\n".join(f"{n},{lr},9" for n, lr in enumerate(lrs)),
        "\n".join(map(str, lrs)) + "\n",
        "learning_rate\n" + "\n".join(map(str, lrs)),
    )
    for text in texts:
        table.write_text(text)
        found = as_json(f"explain {ADAMW}=0.2 --lr {table}", capsys)
        assert found["e_folds"] == digits(hand, rel=1e-12)
        assert found["shrink_per_step"] == digits(0.02, rel=1e-12)
    typed = as_json(f"explain {ADAMW}=0.2 --lr 0.1,0.1,0.05,0.01", capsys)
    assert typed["e_folds"] == digits(hand, rel=1e-12)
    by_epoch = explain(0.2, ADAMW, run=Run(lr=lrs, epochs=4, steps=400))
    assert by_epoch.e_folds == digits(100 * hand, rel=1e-12)


TABLES = {
    "text in row 2": "0.1\nfast\n",
    "nothing": "",
    "a head alone": "lr\n",
    "no lr among several": "step,loss\n1,2\n",
    "a gap": "step,lr\n1,0.1\n2,\n",
    "below 0": "0.1\n-0.1\n",
    "all 0": "0\n0\n",
}


def test_a_table_that_is_none_is_refused(capsys, tmp_path):
    """Each is refused with what was got; more rows than steps are too."""
    table, found = tmp_path / "lrs.csv", {}
    line = f"explain {ADAMW}=0.2 --lr {table}"
    for name, text in TABLES.items():
        table.write_text(text)
        found[name] = error_of(line, capsys)["kind"]
    for row, lr in enumerate(("nan", "-1", "inf"), start=2):
        table.write_text("lr\n" + "0.1\n" * (row - 2) + f"{lr}\n")
        assert f"'{lr}' in row {row}" in error_of(line, capsys)["facts"]["value"]
    assert found == dict.fromkeys(TABLES, "RangeError")
    table.write_text("0.1\n0.1\n0.1\n")
    assert error_of(f"{line} --steps 2", capsys)["kind"] == "RangeError"
    table.unlink()
    assert error_of(line, capsys)["kind"] == "RangeError"
    facts = "--lr 0.1 --batch-size 256:"
    changes = [f"{facts}{text}" for text in ("x0", "x-1", "xx")]
    for change in (*changes, "--lr 0.1,0.2:linear --batch-size 8:x2"):
        error = error_of(f"rescale {ADAMW}=0.1 {change}", capsys)
        assert error["kind"] == "RangeError"


def test_a_summed_loss_is_the_penalty_over_the_batch():
    """The objective divides by the batch, and a step takes off what it did."""
    facts = {"lr": 0.1, "batch_size": 50}
    mean = explain(0.01, "torch.optim.SGD", run=facts)
    total = explain(0.01, "torch.optim.SGD", run=facts | {"loss": "sum"})
    assert total.penalty == digits(mean.penalty / 50, rel=1e-15)
    assert total.shrink_per_step == mean.shrink_per_step
    there = convert(
        *(0.01, "torch.optim.SGD"),
        to="torch.optim.SGD",
        run=facts,
        run_after=facts | {"loss": "sum"},
    )
    assert (there.value, there.fidelity) == (0.5, "same-objective")
    adam = facts | {"gradient_rms": 0.2}
    rates = [
        explain(0.01, "torch.optim.Adam", run=adam | {"loss": how}).shrink_per_step
        for how in ("mean", "sum")
    ]
    assert rates[0] == rates[1]

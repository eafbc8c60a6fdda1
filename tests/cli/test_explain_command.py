"""dwindle explain: the table, the JSON, what is missing, what is impossible."""

import json
import shlex

import pytest
from tolerance import digits

from dwindle.cli.explain import time_on
from dwindle.cli.main import main
from dwindle.decay.explain import explain
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule

LINE = shlex.split(
    "explain torch.optim.SGD=5e-4 --lr 0.1 --momentum 0.9 --batch-size 128 "
    "--dataset-size 50000 --epochs 200 --schedule cosine --warmup 0.05 --final-lr 0.1"
)
FIELDS = [
    "knob", "value", "family", "shrink_per_step", "half_life", "half_life_average",
    "e_folds", "kept", "equilibrium_rms", "rms_at_end", "rotation_per_step", "penalty",
    "warnings", "update", "understood",
]  # fmt: skip


def _json(words, capsys):
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_json_has_the_documented_fields(capsys):
    """--json prints the documented fields, in order, with every clock."""
    told = _json(LINE, capsys)
    assert list(told) == FIELDS
    clocks = ["steps", "examples", "epochs", "run", "tokens"]
    assert list(told["half_life"]) == list(told["half_life_average"]) == clocks


def test_facts_reach_the_formula(capsys):
    """Every fact that is typed arrives: the numbers are those of Python's explain."""
    schedule = Schedule(shape="cosine", warmup=0.05, final=0.1)
    run = Run(
        lr=0.1, momentum=0.9, batch_size=128, dataset_size=50_000, epochs=200,
        schedule=schedule,
    )  # fmt: skip
    there = explain("5e-4", "torch.optim.SGD", run=run).as_dict()
    assert _json(LINE, capsys) == json.loads(json.dumps(there))


def test_the_table_shows_every_clock(capsys):
    """A person sees the half-life on each clock, at the peak and on average."""
    assert main(LINE) == 0
    shown = capsys.readouterr().out
    for part in ("steps", "examples", "epochs", "of the run", "at the peak lr"):
        assert part in shown
    assert "run average" in shown
    assert "mean loss + λ/2 · Σ w²" in shown


def test_a_missing_fact_is_named_not_guessed(capsys):
    """Without facts of the run the JSON has nulls, and a warning names the options."""
    told = _json(["explain", "torch.AdamW=0.1"], capsys)
    assert told["e_folds"] is None
    assert told["half_life"]["steps"] is None
    assert any("--lr" in warning["text"] for warning in told["warnings"])
    assert main(["explain", "torch.AdamW=0.1"]) == 0
    assert "--lr" in capsys.readouterr().out


def test_coupled_adam_has_no_half_life(capsys):
    """For L2 in Adam there is no half-life, and the warning says why."""
    told = _json(["explain", "torch.optim.Adam=1e-2", "--lr", "1e-3"], capsys)
    assert set(told["half_life"].values()) == {None}
    assert "coupled-adaptive" in [warning["code"] for warning in told["warnings"]]


def test_a_run_of_a_billion_steps_has_its_total(capsys):
    """A thousand million steps are summed as well: lr·λ·steps/2 under a cosine."""
    line = shlex.split(
        "explain torch.AdamW=0.1 --lr 1e-3 --steps 1e9 --schedule cosine"
    )
    told = _json(line, capsys)
    assert told["half_life"]["steps"] == pytest.approx(6931.1, rel=1e-4)  # ln 2 · 1e4
    assert told["e_folds"] == pytest.approx(50_000, rel=1e-4)  # to first order
    assert "impossible" not in {warning["code"] for warning in told["warnings"]}


@pytest.mark.parametrize(
    ("clock", "value", "told"),
    [
        ("steps", 1_771_904.0, "1,771,904"),
        ("epochs", 35.4567, "35.46"),
        ("run", 0.1773, "17.7%"),
        ("run", 69.31, "6,931%"),
        ("tokens", None, "–"),
        ("steps", float("inf"), "–"),
    ],
)
def test_a_time_is_written_as_its_clock_has_it(clock, value, told):
    """Counts have separators, shares of the run are percentages."""
    assert time_on(clock, {clock: value}) == told


@pytest.mark.parametrize(
    ("line", "kind", "said"),
    [
        ("", "UsageError", "Missing argument 'KNOB=VALUE'"),
        ("torch.AdamW=0.1 --lr 1e-3:2e-3", "UsageError", "dwindle rescale"),
        ("torch.AdamW=-0.1", "RangeError", "0 or more. Got -0.1."),
        (
            "torch.AdamW=0.1 --momentum 1",
            "RangeError",
            "momentum must be in [0, 1). Got 1.0",
        ),
        (
            "torch.AdamW=0.1 --epochs 0",
            "RangeError",
            "epochs must be a finite number above",
        ),
        (
            "torch.AdamW=1 --epochs 1e308 --batch-size 1 --dataset-size 99",
            "RangeError",
            "few",
        ),
        ("torch.AdamW=0.1 --lr inf", "RangeError", "Got inf."),
        ("torch.AdamW=0.1 --batch-size 0", "RangeError", "at least 1. Got 0."),
        (
            "torch.AdamW=0.1 --batch-size 1.5",
            "RangeError",
            "a whole number. Got '1.5'.",
        ),
        (
            "torch.AdamW=0.1 --batch-size 9 --dataset-size 8",
            "RangeError",
            "at most dataset_s",
        ),
        ("torch.AdamW=0.1 --warmup 1", "RangeError", "in [0, 1). Got 1.0."),
        ("torch.SGD=0.1 --nesterov --lr 1", "RangeError", "momentum"),
        ("torch.AdamW=0.1 --schedule cosin", "UnknownNameError", "Nearest: cosine"),
        ("AdmW=0.1", "UnknownNameError", "torch.optim.AdamW"),
        ("AdamW=0.1", "AmbiguousNameError", "It fits torch.optim.AdamW, keras."),
        ("torch.AdamW=0.1 --ler 1", "UnknownNameError", "--lr"),
    ],
)
def test_bad_input_is_told_what_to_write(line, kind, said, capsys):
    """Bad input of every kind exits with 2: words, and an object with --json."""
    words = ["explain", *line.split()]
    assert main(words) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert said in told.err
    assert main([*words, "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["kind"] == kind
    assert said in error["message"]


def test_endless_e_folds_are_printed(capsys):
    """A step that takes everything leaves nothing: e-folds without end, not a blank."""
    assert main(shlex.split("explain torch.AdamW=1 --lr 1 --steps 9")) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "e-folds of the run ∞ (0% of a weight is left)" in shown
    assert main(shlex.split("explain torch.AdamW=0 --lr 1 --steps 9")) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "e-folds of the run 0 (100% of a weight is left)" in shown


def test_where_weights_settle_is_said_at_the_peak_lr(capsys):
    """Under a falling lr they would settle; where they end is a line of its own."""
    line = "explain torch.AdamW=0.1 --lr 0.01 --steps 6000"
    assert main(shlex.split(line)) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "weights settle at 0.22261 (RMS) weights turn" in shown
    assert main(shlex.split(f"{line} --schedule wsd --decay-share 0.5")) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "weights would settle at 0.22261 (RMS), at the peak lr" in shown
    # A fall over half of the run takes them lower than one over a fifth, 0.188.
    assert "weights end at 0.15" in shown


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "SGD",
            "Write torch.optim.SGD=0.1, for example; dwindle knobs torch.optim.SGD",
        ),
        ("5e-4 --lr 0.1 --momentum 0.9", "torch.optim.SGD=5e-4, for example, or torch"),
        ("torch.AdamW 0.1", "Write torch.AdamW=0.1, in one word."),
        ("zzz", 'Write torch.optim.AdamW=0.1, or half-life="3 epochs".'),
        ("torch.AdamW=0.1 --learning-rate 1", "Nearest: --lr."),
        ("torch.AdamW=0.1 --learning_rate 1", "Nearest: --lr."),
        ("torch.AdamW=0.1 --bs 1", "Nearest: --batch-size."),
        ("torch.AdamW=0.1 --batch 1", "Nearest: --batch-size."),
        (
            "torch.AdamW --wd 0.1",
            "Nearest: KNOB=VALUE. KNOB=VALUE: what is typed where",
        ),
        ("torch.AdamW --weight-decay 0.1", "Nearest: KNOB=VALUE."),
        ("torch.AdamW=0.1 --max-steps 1", "Nearest: --steps."),
        ("torch.AdamW=0.1 --seq-len 1", "Nearest: --tokens-per-example."),
        ("torch.AdamW=0.1 --warmup 500", 'or count it: "500 steps", "5 epochs".'),
        ("torch.AdamW=0.1 --warmup soon", '"500 steps" or "5 epochs"'),
        ("torch.AdamW=0.1 --batch-size 99 --dataset-size 80", "give batch_size=80."),
    ],
)
def test_another_tools_words_are_answered_with_ours(line, said, capsys):
    """What people type first is refused with the words that work."""
    assert main(["explain", *line.split()]) == 2
    assert said in capsys.readouterr().err


def test_a_value_before_its_knob_is_read(capsys):
    """0.1=torch.AdamW is torch.AdamW=0.1."""
    assert main(["explain", "0.1=torch.AdamW", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["knob"], told["value"]) == ("torch.optim.AdamW", 0.1)


def test_a_warm_up_is_counted_in_epochs(capsys):
    """Five of ninety epochs are the share that they are."""
    facts = "torch.AdamW=0.1 --lr 1e-3 --batch-size 256 --dataset-size 1.28M"
    line = f"{facts} --epochs 90 --schedule cosine --json --warmup"
    assert main(["explain", *line.split(), "5 epochs"]) == 0
    counted = json.loads(capsys.readouterr().out)
    assert main(["explain", *line.split(), "1/18"]) == 0
    share = json.loads(capsys.readouterr().out)
    assert counted["e_folds"] == pytest.approx(share["e_folds"], rel=1e-12)


@pytest.mark.parametrize(
    ("knob", "kept"),
    [("torch.optim.SGD", 1.0), ("torch.AdamW", 1.0), ("tfa.AdamW", 0.9**10)],
)
def test_an_lr_of_zero_is_explained(knob, kept, capsys):
    """A frozen layer's weights stay, where the decay is multiplied by the lr."""
    line = f"explain {knob}=0.1 --lr 0 --steps 10 --json"
    assert main(line.split()) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["kept"] == pytest.approx(kept, rel=1e-12)
    assert told["equilibrium_rms"] is None
    texts = {each["code"]: each["text"] for each in told["warnings"]}
    assert "a decay that is multiplied by the lr takes nothing off" in texts["no-lr"]


def test_an_lr_of_zero_converts_into_no_number(capsys):
    """Where nothing decays whatever one types, no number is the answer."""
    line = "convert torch.SGD=1e-4 --to torch.AdamW --lr 0.1:0"
    assert main(line.split()) == 2
    assert "lr must be above 0 where torch.optim.AdamW" in capsys.readouterr().err


def _explained(line, capsys):
    assert main(["explain", *line.split(), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_batch_in_tokens_says_nothing_of_examples(capsys):
    """500,000 tokens in a step are no 500,000 examples; the tokens are exact."""
    told = _explained("torch.AdamW=0.1 --lr 1e-3 --batch-tokens 500000", capsys)
    assert told["half_life"]["examples"] is None
    # 1e-12: rounding alone.
    steps, tokens = (told["half_life"][name] for name in ("steps", "tokens"))
    assert tokens == digits(500_000 * steps, rel=1e-12)
    texts = " ".join(each["text"] for each in told["warnings"])
    assert "--batch-size with --tokens-per-example" in texts


def test_nothing_is_said_of_the_equilibrium_without_the_momentum(capsys):
    """bitsandbytes' SGD has no run without a momentum: no size and no turn either."""
    told = _explained("bitsandbytes.SGD=1e-3 --lr 0.05", capsys)
    assert told["rotation_per_step"] is told["shrink_per_step"] is None
    assert "equilibrium-noise" not in {each["code"] for each in told["warnings"]}
    told = _explained("bitsandbytes.SGD=1e-3 --lr 0.05 --momentum 0.9", capsys)
    assert told["rotation_per_step"] is not None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("torch.AdamW=0.1 --betas 0.9 0.95", "Write --betas 0.9,0.95, in one word."),
        (
            "torch.SGD=0.1 --momentum 0.9 --nesterov --dampening 0.1",
            "dampening must be 0 beside nesterov (torch.optim.SGD insists). Got 0.1.",
        ),
    ],
)
def test_an_error_says_which_words_to_change(line, message, capsys):
    """The text names the option that is wrong and how it is written."""
    assert main(["explain", *line.split()]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("name", "knob"),
    [
        ("torch.optim.sgd.SGD", "torch.optim.SGD"),
        ("torch.optim.adamw.AdamW", "torch.optim.AdamW"),
        ("torch.optim._muon.Muon", "torch.optim.Muon"),
        ("bitsandbytes.optim.lion.Lion", "bitsandbytes.optim.Lion"),
    ],
)
def test_the_module_of_a_class_may_stand_in_its_path(name, knob, capsys):
    """The path that Python prints for a class is read as its public one."""
    assert _explained(f"{name}=0.1", capsys)["knob"] == knob

"""dwindle convert: the table, the JSON, the refusals."""

import json

import pytest

from dwindle.cli.main import main
from dwindle.decay.convert import convert
from dwindle.decay.run import Run

KERAS = ["convert", "keras.regularizers.L2=5e-4", "--to", "torch.optim.SGD"]
FIELDS = [
    "from", "value_from", "to", "value", "unit", "fidelity", "assumptions", "formula",
    "layers", "keeps", "unused",
]  # fmt: skip


def _json(words, capsys):
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_table_shows_the_value_and_its_worth(capsys):
    """A person sees both knobs, both numbers, the fidelity and the assumptions."""
    assert main(KERAS) == 0
    shown = capsys.readouterr().out
    assert "keras.regularizers.L2 = 0.0005  →  torch.optim.SGD = 0.001" in shown
    assert "same-objective: the same function is minimized" in shown
    assert "λ = 2·l2" in shown
    assert "· " in shown


def test_the_json_has_the_documented_fields(capsys):
    """--json prints the documented fields, in order, and nothing else."""
    told = _json(KERAS, capsys)
    assert list(told) == FIELDS
    assert told["from"] == "keras.regularizers.L2"
    assert told["value"] == 0.001
    assert told["layers"] == []


def test_facts_reach_the_formula(capsys):
    """Every fact that is typed arrives: the answer is that of the Python function."""
    line = [
        "convert", "half-life=3 epochs", "--to", "torch.AdamW", "--lr", "3e-4",
        "--batch-size", "512", "--dataset-size", "1281167", "--epochs", "90",
        "--schedule", "cosine", "--warmup", "0.05", "--final-lr", "0.1",
    ]  # fmt: skip
    run = Run(lr=3e-4, batch_size=512, dataset_size=1_281_167, epochs=90)
    there = convert("3 epochs", "half-life", to="torch.optim.AdamW", run=run)
    assert _json(line, capsys)["value"] == there.value


def test_a_change_is_written_before_and_after(capsys):
    """before:after gives the one lr to the old knob and the other to the new one."""
    line = [
        "convert",
        "torch.optim.AdamW=0.1",
        "--to",
        "torch.AdamW",
        "--lr",
        "1e-3:2e-3",
    ]
    told = _json(line, capsys)
    # the shrink lr·λ is kept; rounding of three operations on floats
    assert told["value"] == pytest.approx(0.05, rel=1e-12)


def test_a_penalty_that_differs_by_layer_is_a_table(capsys):
    """A normalized penalty has one value per layer, and no common one."""
    line = [
        "convert",
        "question.l2:layer-mean=1",
        "--to",
        "torch.SGD",
        "--units",
        "6,4,2",
    ]
    told = _json(line, capsys)
    assert told["value"] is None
    assert [each["shape"] for each in told["layers"]] == [[6, 4], [4, 2]]
    assert main(line) == 0
    shown = capsys.readouterr().out
    assert "one value per layer" in shown
    assert "6 × 4" in shown


EVERYWHERE = ["convert", "torch.AdamW=0.1", "--to", "all", "--lr", "1e-3"]


def test_everywhere_is_one_table_per_library(capsys):
    """--to all types the decay in each knob that can hold it, and lists the others."""
    assert main(EVERYWHERE) == 0
    shown = capsys.readouterr().out
    assert "torch.optim.AdamW = 0.1  →  all" in shown
    for words in (
        ("optax.adamw", "0.1", "same-trajectory"),
        ("keras.optimizers.AdamW", "0.1", "same-decay"),
        ("half-life:steps", "6931.13", "same-decay"),
    ):
        assert any(line.split() == [*words] for line in shown.splitlines()), words
    assert shown.index("\n  optax\n") < shown.index("\n  cannot hold it\n")
    assert "needs batch_size: give --batch-size." in shown
    assert "torch.optim.Adam, torch.optim.NAdam" in shown
    assert "same-trajectory  every step is the same" in shown


def test_everywhere_as_json(capsys):
    """--to all --json has each conversion as it is alone, and every reason."""
    told = _json(EVERYWHERE, capsys)
    assert list(told) == ["from", "value_from", "to", "conversions", "refused"]
    assert (told["from"], told["value_from"], told["to"]) == (
        "torch.optim.AdamW",
        0.1,
        "all",
    )
    assert {tuple(each) for each in told["conversions"]} == {tuple(FIELDS)}
    alone = _json([*EVERYWHERE[:3], "half-life:steps", *EVERYWHERE[4:]], capsys)
    assert alone in told["conversions"]
    assert all(each["reason"] and each["knobs"] for each in told["refused"])


@pytest.mark.parametrize(
    ("line", "kind", "said"),
    [
        ("torch.SGD --to torch.AdamW", "UsageError", "joined by =. Got 'torch.SGD'."),
        ("=1 --to torch.AdamW", "UsageError", "Write torch.optim.AdamW=0.1"),
        ("torch.SGD= --to torch.AdamW", "UsageError", "Got 'torch.SGD='."),
        ("torch.SGD=1e-3", "UsageError", "Missing option '--to'"),
        ("torch.SDG=1 --to torch.AdamW", "UnknownNameError", "torch.optim.SGD"),
        ("torch.SGD=1 --to AdamWW", "UnknownNameError", "torch.optim.AdamW"),
        ("torch.SDG=1 --to all", "UnknownNameError", "torch.optim.SGD"),
        ("torch.SGD=-1 --to all", "RangeError", "0 or more. Got -1.0."),
        (
            "torch.SGD=fast --to torch.AdamW",
            "RangeError",
            "must be a number. Got 'fast'.",
        ),
        ("torch.SGD=-1 --to keras.L2", "RangeError", "0 or more. Got -1.0."),
        ("torch.SGD=nan --to keras.L2", "RangeError", "Got 'nan'."),
        ("torch.SGD=1e-3 --to torch.AdamW", "MissingFactError", "Give it as --lr"),
        ("torch.SGD=1 --to torch.AdamW --lr 0", "RangeError", "lr must be above 0"),
        (
            "torch.SGD=1 --to torch.AdamW --lr 1:2:3",
            "RangeError",
            "one value, or before:aft",
        ),
        (
            "torch.SGD=1 --to torch.AdamW --lr :2",
            "RangeError",
            "one value, or before:after",
        ),
        (
            "torch.SGD=1 --to torch.AdamW --momentum 1",
            "RangeError",
            "in [0, 1). Got 1.0.",
        ),
        ("shrink=200% --to torch.AdamW --lr 1", "RangeError", "in [0, 1). Got 2.0."),
        ("half-life=3 --to torch.AdamW --lr 1", "RangeError", "3 epochs"),
        ("half-life=3parsecs --to torch.AdamW --lr 1", "UnknownNameError", "epochs"),
        (
            "torch.AdamW=1 --to torch.SGD --lr 1 --schedule cos",
            "UnknownNameError",
            "cosine",
        ),
        (
            "torch.AdamW=1 --to torch.SGD --lr 1 --dtype flot",
            "UnknownNameError",
            "float32",
        ),
        (
            "torch.AdamW=1 --to torch.SGD --units 784",
            "RangeError",
            "two or more layer sizes",
        ),
        (
            "torch.AdamW=1 --to torch.SGD --units 784,a,10",
            "RangeError",
            "Got '784,a,10'.",
        ),
        (
            "torch.AdamW=1 --to torch.SGD --batch-size 9 --dataset-size 5",
            "RangeError",
            "at most",
        ),
        ("question.l2=1e-3 --to torch.AdamW", "RefusedError", "cannot be given."),
        ("torch.Adam=1e-3 --to half-life --lr 1", "RefusedError", "half-life"),
        (
            "torch.AdamW=1 --to torch.SGD --learning-rate 1",
            "UnknownNameError",
            "--learning-rate",
        ),
    ],
)
def test_bad_input_is_told_what_to_write(line, kind, said, capsys):
    """Bad input of every kind exits with 2: words, and an object with --json."""
    words = ["convert", *line.split()]
    assert main(words) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert said in told.err
    assert "Traceback" not in told.err
    assert main([*words, "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["kind"] == kind
    assert said in error["message"]

"""Facts as people type them, on a command line and in Python, through one reader."""

import json
import math

from tolerance import digits

from dwindle.cli.main import main
from dwindle.decay.convert import convert
from dwindle.decay.explain import explain
from dwindle.decay.python_inputs import run_of
from dwindle.decay.rescale import rescale
from dwindle.decay.run import Run

ADAMW = "torch.optim.AdamW"


def answer(capsys, *words):
    """Return what a line prints as JSON."""
    assert main([*words, "--json"]) == 0, words
    return json.loads(capsys.readouterr().out)


def refused(capsys, *words):
    """Return the error of a line."""
    assert main([*words, "--json"]) == 2, words
    return json.loads(capsys.readouterr().out)["error"]


def test_times_and_an_lr_that_goes_with_the_batch(capsys):
    """256:x8 is 256:2048; an lr goes with tokens in a step as with examples."""
    line = ("rescale", f"{ADAMW}=0.1", "--dataset-size", "1.28M", "--epochs", "90")
    there = answer(capsys, *line, "--lr", "3e-4:linear", "--batch-size", "256:x8")
    same = answer(capsys, *line, "--lr", "3e-4:2.4e-3", "--batch-size", "256:2048")
    for side in ("before", "unchanged"):
        assert there[side]["e_folds"] == digits(same[side]["e_folds"], rel=1e-12)
    in_tokens = ("rescale", f"{ADAMW}=0.1", "--tokens", "20B:x5", "--lr", "3e-4:sqrt")
    found = answer(capsys, *in_tokens, "--batch-tokens", "0.5M:2M")
    assert found["unchanged"]["shrink_per_step"] == digits(6e-5, rel=1e-12)
    assert found["unchanged"]["e_folds"] == digits(
        -50_000 * math.log1p(-6e-5), rel=1e-9
    )


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
        found = answer(capsys, "explain", f"{ADAMW}=0.2", "--lr", str(table))
        assert found["e_folds"] == digits(hand, rel=1e-12)
        assert found["shrink_per_step"] == digits(0.02, rel=1e-12)
    typed = answer(capsys, "explain", f"{ADAMW}=0.2", "--lr", "0.1,0.1,0.05,0.01")
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
    line = ("explain", f"{ADAMW}=0.2", "--lr", str(table))
    for name, text in TABLES.items():
        table.write_text(text)
        found[name] = refused(capsys, *line)["kind"]
    for row, lr in enumerate(("nan", "-1", "inf"), start=2):
        table.write_text("lr\n" + "0.1\n" * (row - 2) + f"{lr}\n")
        assert f"'{lr}' in row {row}" in refused(capsys, *line)["facts"]["value"]
    assert found == dict.fromkeys(TABLES, "RangeError")
    table.write_text("0.1\n0.1\n0.1\n")
    assert refused(capsys, *line, "--steps", "2")["kind"] == "RangeError"
    table.unlink()
    assert refused(capsys, *line)["kind"] == "RangeError"
    for text in ("x0", "x-1", "xx"):
        line = ("rescale", f"{ADAMW}=0.1", "--lr", "0.1", "--batch-size", f"256:{text}")
        assert refused(capsys, *line)["kind"] == "RangeError"


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

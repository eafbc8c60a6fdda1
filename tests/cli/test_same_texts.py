"""Bad input gets the same words from the command line and from Python."""

import shlex

import pytest

from dwindle.cli.main import main
from dwindle.decay.convert import convert
from dwindle.decay.explain import explain
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import DwindleError

# The words after ``dwindle``, what Python is asked instead, and what both must say.
SAME = [
    ("explain AdmW=1", lambda: explain("1", "AdmW"), "Nearest: torch.optim.AdamW"),
    ("explain Lion=1", lambda: explain("1", "Lion"), "It fits keras.optimizers.Lion"),
    ("explain MLP=1", lambda: explain("1", "MLP"), "Nearest: sklearn.neural_network"),
    (
        "explain torch.AdamW=-1",
        lambda: explain(-1, "torch.AdamW"),
        "0 or more. Got -1.0.",
    ),
    ("explain torch.AdamW=nan", lambda: explain("nan", "torch.AdamW"), "Got nan."),
    (
        "explain torch.AdamW=inf",
        lambda: explain(float("inf"), "torch.AdamW"),
        "Got inf.",
    ),
    ("explain torch.AdamW=fast", lambda: explain("fast", "torch.AdamW"), "Got 'fast'."),
    ("explain LogisticRegression=0", lambda: explain(0, "LogisticRegression"), "abov"),
    (
        "explain torch.AdamW=1 --lr -1",
        lambda: explain(1, "torch.AdamW", run=Run(lr=-1.0)),
        "0 or more",
    ),
    (
        "explain torch.AdamW=1 --momentum 1",
        lambda: explain(1, "torch.AdamW", run=Run(momentum=1.0)),
        "in [0, 1)",
    ),
    (
        "explain torch.AdamW=1 --schedule cosin",
        lambda: Schedule(shape="cosin"),
        "Nearest: cosine",
    ),
    (
        "convert torch.AdamW=1 --to half-life:steps",
        lambda: convert(1, "torch.AdamW", to="half-life:steps"),
        "Give it as --lr, or Run(lr=...) in Python.",
    ),
    (
        "convert torch.AdamW=0.1 --to half-life:run --lr 1e-3",
        lambda: convert(0.1, "torch.AdamW", to="half-life:run", run=Run(lr=1e-3)),
        "--epochs with --dataset-size",
    ),
    (
        "convert question.l2=1 --to torch.AdamW",
        lambda: convert(1, "question.l2", to="torch.AdamW"),
        "cannot be given",
    ),
    (
        "convert 'half-life=3 parsecs' --to torch.AdamW",
        lambda: convert("3 parsecs", "half-life", to="torch.AdamW"),
        "epochs",
    ),
    (
        "convert torch.SGD=1 --to half-life --lr 0.1 --momentum 0.9",
        lambda: convert(1, "torch.SGD", to="half-life", run=Run(lr=0.1, momentum=0.9)),
        "overshoots zero",
    ),
]


@pytest.mark.parametrize(("line", "ask", "said"), SAME, ids=[row[0] for row in SAME])
def test_both_say_the_same(line, ask, said, capsys):
    """What is printed after ``error:`` is the text of the error that Python raises."""
    with pytest.raises(DwindleError, match=r"[a-z]") as caught:
        ask()
    assert main(shlex.split(line)) == 2
    assert capsys.readouterr().err == f"error: {caught.value}\n"
    assert said in str(caught.value)

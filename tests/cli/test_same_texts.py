"""Bad input gets the same answer from the command line and from Python."""

import shlex

import pytest

from dwindle.cli.main import main
from dwindle.decay.convert import convert
from dwindle.decay.explain import explain
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import DwindleError

SGD = Run(lr=0.1, momentum=0.9)
# The words after ``dwindle``, and what Python is asked instead.
SAME = {
    "explain AdmW=1": lambda: explain("1", "AdmW"),
    "explain Lion=1": lambda: explain("1", "Lion"),
    "explain MLP=1": lambda: explain("1", "MLP"),
    "explain torch.AdamW=-1": lambda: explain(-1, "torch.AdamW"),
    "explain torch.AdamW=nan": lambda: explain("nan", "torch.AdamW"),
    "explain torch.AdamW=inf": lambda: explain(float("inf"), "torch.AdamW"),
    "explain torch.AdamW=fast": lambda: explain("fast", "torch.AdamW"),
    "explain LogisticRegression=0": lambda: explain(0, "LogisticRegression"),
    "explain torch.AdamW=1 --lr -1": lambda: explain(
        1, "torch.AdamW", run=Run(lr=-1.0)
    ),
    "explain torch.AdamW=1 --momentum 1": lambda: explain(
        1, "torch.AdamW", run=Run(momentum=1.0)
    ),
    "explain torch.AdamW=1 --schedule cosin": lambda: Schedule(shape="cosin"),
    "convert torch.AdamW=1 --to half-life:steps": lambda: convert(
        1, "torch.AdamW", to="half-life:steps"
    ),
    "convert torch.AdamW=0.1 --to half-life:run --lr 1e-3": lambda: convert(
        0.1, "torch.AdamW", to="half-life:run", run=Run(lr=1e-3)
    ),
    "convert question.l2=1 --to torch.AdamW": lambda: convert(
        1, "question.l2", to="torch.AdamW"
    ),
    "convert 'half-life=3 parsecs' --to torch.AdamW": lambda: convert(
        "3 parsecs", "half-life", to="torch.AdamW"
    ),
    "convert torch.SGD=1 --to half-life --lr 0.1 --momentum 0.9": lambda: convert(
        1, "torch.SGD", to="half-life", run=SGD
    ),
}


@pytest.mark.parametrize("line", SAME)
def test_both_say_the_same(line, capsys):
    """What is printed after ``error:`` is the text of the error that Python raises."""
    with pytest.raises(DwindleError) as raised:
        SAME[line]()
    assert main(shlex.split(line)) == raised.value.exit_code
    assert capsys.readouterr().err == f"error: {raised.value}\n"

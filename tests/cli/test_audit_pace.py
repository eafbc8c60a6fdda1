"""dwindle audit --scheduler-every: at what pace a program's scheduler is followed."""

import json
import sys
import textwrap

import pytest

from dwindle.cli.main import main

PROGRAM = """
    import torch
    from torch.optim import lr_scheduler

    def _built():
        model = torch.nn.Linear(4, 2, bias=False)
        return model, torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)

    def step():
        model, optimizer = _built()
        return model, optimizer, lr_scheduler.StepLR(optimizer, 10, 0.1)

    def cosine():
        model, optimizer = _built()
        return model, optimizer, lr_scheduler.CosineAnnealingLR(optimizer, 30)

    def plateau():
        model, optimizer = _built()
        return model, optimizer, lr_scheduler.ReduceLROnPlateau(optimizer)

    def another():
        model, optimizer = _built()
        return model, optimizer, lr_scheduler.StepLR(_built()[1], 10)
"""
FACTS = ["--batch-size", "128", "--dataset-size", "50000", "--epochs", "30"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with programs whose schedulers count epochs, which one is in."""
    (tmp_path / "paced_it.py").write_text(textwrap.dedent(PROGRAM))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "paced_it", raising=False)
    yield tmp_path
    sys.modules.pop("paced_it", None)


def audited(capsys, name, *words):
    main(["audit", f"paced_it:{name}", *FACTS, *words, "--json"])
    return json.loads(capsys.readouterr().out)


# No scheduler: 11,730 steps of the peak lr take 1e-4 each.
CONSTANT = (1 - 1e-4) ** 11_730


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("words", "kept", "every"),
    [
        ("step", 0.648, "epoch (guessed)"),
        ("cosine", 0.545, "epoch (guessed)"),
        ("step --scheduler-every epoch", 0.648, "epoch"),
        ("step --scheduler-every 391", 0.648, "391 steps"),
        ("step --scheduler-every step", 0.999, "step"),
        ("step --scheduler-every never", CONSTANT, None),
        ("step --schedule constant", CONSTANT, None),
        ("step --schedule cosine", 0.556, None),
    ],
)
def test_a_pace_is_given_or_guessed_and_shown(words, kept, every, capsys):
    """In the facts of the JSON, which the header prints."""
    found = audited(capsys, *words.split())
    assert found["groups"][0]["kept"] == pytest.approx(kept, abs=5e-4)
    assert found["facts"].get("scheduler_every") == every
    guessed = [text for text in found["unchecked"] if "was guessed" in text]
    assert len(guessed) == (every == "epoch (guessed)")
    counts = [text for text in found["unchecked"] if "schedule that was given" in text]
    assert len(counts) == (every is None)


@pytest.mark.usefixtures("folder")
def test_a_guess_is_a_line_of_the_output(capsys):
    """The pace stands in the header, and what it was guessed from at the end."""
    main(["audit", "paced_it:step", *FACTS])
    out = " ".join(capsys.readouterr().out.split())
    assert "scheduler StepLR · scheduler_every epoch (guessed)" in out
    assert "the step_size of its StepLR is 10, in a run of 30 epochs and 11,730" in out


@pytest.mark.usefixtures("folder")
def test_what_is_not_followed_is_said_in_words_of_the_command_line(capsys):
    """--schedule cosine is what one writes here; no number is made up."""
    found = audited(capsys, "plateau")
    assert found["groups"][0]["kept"] is None
    (said,) = [text for text in found["unchecked"] if "not followed" in text]
    assert "--schedule cosine" in said


@pytest.mark.usefixtures("folder")
def test_a_scheduler_of_another_optimizer_fails(capsys):
    """It is an error, with exit code 1."""
    found = audited(capsys, "another")
    assert [each["code"] for each in found["findings"]] == ["DW029"]
    assert found["exit_code"] == 1


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("word", ["epochs", "0", "-1", "1.5", "often"])
def test_another_pace_is_refused(word, capsys):
    """With what a pace is, and what was got."""
    assert main(["audit", "paced_it:step", *FACTS, "--scheduler-every", word]) == 2
    err = " ".join(capsys.readouterr().err.split())
    assert "--scheduler-every must be step, epoch, never, or a number of steps" in err
    assert repr(word) in err


@pytest.mark.usefixtures("folder")
def test_a_file_has_no_pace(folder, capsys):
    """Its schedule is named in it."""
    (folder / "args.json").write_text('{"learning_rate": 1e-3, "weight_decay": 0.05}')
    assert main(["audit", "args.json", "--scheduler-every", "epoch"]) == 2
    assert "pace of a program's scheduler" in capsys.readouterr().err


def test_the_help_says_what_a_pace_is(capsys):
    """The option, and that a pace is guessed without it."""
    main(["audit", "--help"])
    out = " ".join(capsys.readouterr().out.split())
    assert "--scheduler-every" in out
    assert "guessed from its plan (T_max, milestones, step_size)" in out

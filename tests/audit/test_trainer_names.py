"""Keys of a file: misspelt ones are errors, unknown ones are named, defaults marked."""

import json
from pathlib import Path

import pytest

from dwindle.audit.settings_audit import audit_training_arguments
from dwindle.audit.trainer_names import misspelt_keys

REAL = str(Path(__file__).with_name("training_arguments_5_23.json"))


def codes(audit):
    """The codes that an audit found."""
    return [found.code for found in audit.findings]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("learning_rte", "learning_rate"),
        ("weight-decay", "weight_decay"),
        ("weightdecya", "weight_decay"),
        ("Weight_Decay", "weight_decay"),
        ("num_train_epoch", "num_train_epochs"),
        ("per_device_train_batchsize", "per_device_train_batch_size"),
        ("gradient_acumulation_step", "gradient_accumulation_steps"),
        ("optm", "optim"),
    ],
)
def test_a_misspelt_key_is_an_error_with_the_line(typed, meant, write):
    """A key with one or two mistakes is told, with the name that was meant."""
    audit = audit_training_arguments(write({"warmup_steps": 0, typed: 3}))
    (found,) = [each for each in audit.findings if each.code == "DW028"]
    assert (found.severity, found.where.rpartition(": ")[2]) == ("error", typed)
    assert json.loads("{" + found.line + "}") == {meant: 3}
    assert "its default counts" in found.evidence
    assert audit.exit_code == 1


@pytest.mark.parametrize(
    "key", ["option", "steps", "save_steps", "adam_epsilon", "model_name", "lr", "eps"]
)
def test_other_names_are_no_mistakes(key, write):
    """The Trainer's other arguments and names of one's own are left alone."""
    audit = audit_training_arguments(
        write({"weight_decay": 0.1, "num_train_epochs": 1, key: 3})
    )
    assert "DW028" not in codes(audit)


def test_a_misspelt_decay_is_not_told_twice(write):
    """Nothing decays because of the mistake: that is the finding, and the only one."""
    audit = audit_training_arguments(write("warmup_steps: 0\nweight_decya: 0.1\n"))
    assert codes(audit) == ["DW028"]
    assert audit.findings[0].line == "weight_decay: 0.1"
    both = write({"weight_decay": 0, "weight_decya": 0.1})
    found = audit_training_arguments(both)
    assert codes(found) == ["DW028", "DW021"]
    assert "is in the file as well" in found.findings[0].evidence


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("lr_scheduler_kwarg", {"a": 1}, 'lr_scheduler_kwargs: {"a": 1}'),
        ("optm", "sgd", "optim: sgd"),
        ("auto_find_batchsize", True, "auto_find_batch_size: true"),
        ("learning_rte", 5e-5, "learning_rate: 5.0e-05"),
    ],
)
def test_the_line_keeps_the_value(name, value, line):
    """Whatever was typed stands in the line, as YAML reads it."""
    assert misspelt_keys("args.yaml", {name: value})[0].line == line


def test_few_unknown_keys_are_named_and_many_are_not(write):
    """Up to five names of one's own are named in a sentence; more are a custom file."""
    own = {f"own_name_{number}": number for number in range(6)}
    few = dict(list(own.items())[:5]) | {"weight_decay": 0.1}
    told = audit_training_arguments(write(few)).unchecked
    assert any("have no own_name_0, own_name_1" in text for text in told)
    many = audit_training_arguments(write(own | {"weight_decay": 0.1})).unchecked
    assert not any("own_name" in text for text in many)


def test_defaults_are_marked_in_the_header(write):
    """What nobody wrote is told as a default; what file or option say is not."""
    path = write({"warmup_steps": 0})
    assert audit_training_arguments(path).facts == {
        "lr": "5e-05 (default)",
        "batch": "8 (default)",
        "epochs": "3 (default)",
        "schedule": "linear (default)",
    }
    facts = {"lr": 1e-3, "batch_size": 64, "epochs": 2, "shape": "cosine"}
    given = audit_training_arguments(path, given=facts).facts
    assert given["lr"] == "0.001"
    assert (given["batch"], given["epochs"]) == ("64", "2")
    assert given["schedule"] == "linear (as cosine)"
    many = audit_training_arguments(path, world_size=4).facts
    assert many["batch"] == "32 (8 per device, default × 4 devices)"
    assert "nearest recipe" not in audit_training_arguments(REAL).facts

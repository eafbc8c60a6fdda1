"""Keys of a file: misspelt ones are errors with the line, others are named."""

import json

from dwindle.audit import audit_training_arguments
from dwindle.audit.trainers import meant_by, misspelt_keys

MEANT = {
    "learning_rte": "learning_rate",
    "weight-decay": "weight_decay",
    "weightdecya": "weight_decay",
    "Weight_Decay": "weight_decay",
    "num_train_epoch": "num_train_epochs",
    "per_device_train_batchsize": "per_device_train_batch_size",
    "gradient_acumulation_step": "gradient_accumulation_steps",
    "optm": "optim",
    # The Trainer's other arguments, and names of somebody's own.
    **dict.fromkeys(("option", "steps", "save_steps", "adam_epsilon", "lr", "eps")),
    "model_name": None,
}


def codes(audit):
    """The codes that an audit found."""
    return [found.code for found in audit.findings]


def test_a_misspelt_key_is_known_by_what_was_meant():
    """One or two mistakes in a name that bears on decay; other names are left alone."""
    assert {typed: meant_by(typed) for typed in MEANT} == MEANT


def test_a_misspelt_key_is_an_error_with_the_line(write):
    """A key that nobody reads is DW028, with the line that was meant."""
    audit = audit_training_arguments(write({"warmup_steps": 0, "learning_rte": 3}))
    (found,) = [each for each in audit.findings if each.code == "DW028"]
    assert (found.severity, audit.exit_code) == ("error", 1)
    assert found.where.endswith(": learning_rte")
    assert json.loads("{" + found.line + "}") == {"learning_rate": 3}


def test_a_misspelt_decay_is_not_found_twice(write):
    """Nothing decays because of the mistake: that is the finding, and the only one."""
    audit = audit_training_arguments(write("warmup_steps: 0\nweight_decya: 0.1\n"))
    assert codes(audit) == ["DW028"]
    assert audit.findings[0].line == "weight_decay: 0.1"
    both = write({"weight_decay": 0, "weight_decya": 0.1})
    assert codes(audit_training_arguments(both)) == ["DW028", "DW021"]


def test_the_line_keeps_the_value():
    """The value that was typed stands in the line, as YAML reads it."""
    lines = {
        'lr_scheduler_kwargs: {"a": 1}': ("lr_scheduler_kwarg", {"a": 1}),
        "optim: sgd": ("optm", "sgd"),
        "auto_find_batch_size: true": ("auto_find_batchsize", True),
        "learning_rate: 5.0e-05": ("learning_rte", 5e-5),
    }
    for line, (name, value) in lines.items():
        (found,) = misspelt_keys("args.yaml", {name: value})
        assert found.line == line

"""Files of TrainingArguments: what they decay, and what is wrong with them."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as limited
from hypothesis import strategies as st
from tolerance import digits

from dwindle.audit.outcome import Audit
from dwindle.audit.settings_audit import audit_changed_files, audit_training_arguments
from dwindle.audit.trainer_courses import (
    SCHEDULES,
    TRAINER_SCHEDULES,
    ScheduleFacts,
)
from dwindle.audit.trainer_setting import read_setting_of
from dwindle.audit.trainers import TRAINERS, TRANSFORMERS, meant_by, misspelt_keys
from dwindle.decay.knobs import KNOBS
from dwindle.decay.schedules import Schedule
from dwindle.errors import AuditTargetError, DwindleError, RangeError

# TrainingArguments(...).to_json_string() of transformers 5.23.0, as it wrote it.
REAL = str(Path(__file__).with_name("training_arguments_5_23.json"))


def codes(audit):
    """The codes that an audit found."""
    return [found.code for found in audit.findings]


def test_a_real_file_is_read():
    """What to_json_string writes is read: knob, number, run, in full."""
    setting = read_setting_of(REAL, given={"dataset_size": 1_281_167})
    run = setting.run
    assert (setting.reading.knob, setting.weight_decay) == ("torch.optim.AdamW", 0.05)
    assert (run.lr, run.batch_size, run.epochs) == (1e-3, 128, 30)
    assert run.schedule == Schedule(shape="cosine", warmup=0.05, warmup_start=0.0)
    assert (run.betas, run.dtype) == ((0.9, 0.999), "float32")
    audit = audit_training_arguments(REAL, given={"dataset_size": 1_281_167})
    # 13,863 steps of 128 examples, which are 1.38 epochs.
    assert audit.table[0].half_life["epochs"] == digits(1.385, rel=1e-3)
    assert codes(audit) == []
    assert audit.exit_code == 0


# Settings (None: the real file) and what is given beside them -> parts of the run.
RUNS = (
    # A step has per-device batch × accumulation × devices examples.
    (None, {"world_size": 8}, {"batch_size": 1024}),
    (None, {"world_size": 8, "given": {"batch_size": 64}}, {"batch_size": 64}),
    # The defaults are those of transformers 5.23.
    ({"warmup_steps": 0}, {}, {"lr": 5e-5, "batch_size": 8, "epochs": 3.0,
                               "schedule": Schedule(shape="linear")}),
    # max_steps beat epochs, and what is given beats both.
    ({"max_steps": 500, "num_train_epochs": 3}, {}, {"steps": 500, "epochs": None}),
    ({"max_steps": 500}, {"given": {"epochs": 2}}, {"steps": None, "epochs": 2}),
    # Below 1 warmup_steps is a share, else a count; older files have a ratio.
    ({"warmup_steps": 100, "max_steps": 1000}, {}, {"warmup": 0.1}),
    ({"warmup_steps": 0.2, "max_steps": 1000}, {}, {"warmup": 0.2}),
    ({"warmup_ratio": 0.3, "max_steps": 1000}, {}, {"warmup": 0.3}),
    ({"warmup_steps": 100}, {}, {"warmup": 0.0}),
    # optim_args gives SGD its momentum.
    ({"optim": "sgd", "optim_args": "momentum=0.9, nesterov=true"}, {},
     {"momentum": 0.9, "nesterov": True}),
    # A file of another layout is read where one table in it has arguments.
    ("model: x\ntrainer:\n  weight_decay: 0.3\n  learning_rate: 0.001\n", {},
     {"lr": 0.001}),
)  # fmt: skip


def test_the_run_is_that_of_the_trainer(write):
    """Batch, length, lr, warm-up and momentum, by the file and by what is given."""
    wrong = []
    for settings, beside, parts in RUNS:
        path = REAL if settings is None else write(settings)
        run = read_setting_of(path, **beside).run
        found = {
            name: run.schedule.warmup if name == "warmup" else getattr(run, name)
            for name in parts
        }
        wrong += [(settings, found)] if found != parts else []
    assert wrong == []


def test_numbers_that_are_texts_are_found_and_meant(write):
    """YAML's 1e-3 is a text: an error, and audited as the number that it spells.

    Its line is a number to YAML: 5.0e-05, not 5e-05.
    """
    path = write("learning_rate: 5e-5\nweight_decay: 1e-1\nmax_steps: 400000\n")
    audit = audit_training_arguments(path)
    assert codes(audit) == ["DW020", "DW020"]
    lines = {found.line for found in audit.findings}
    assert lines == {"weight_decay: 0.1", "learning_rate: 5.0e-05"}
    assert (audit.table[0].lr, audit.table[0].weight_decay) == (5e-5, 0.1)
    assert audit.exit_code == 1
    mended = "\n".join([*lines, "max_steps: 400000\n"])
    assert codes(audit_training_arguments(write(mended))) == []


def test_nothing_decays_by_default(write):
    """A file without weight_decay decays nothing, and the line to write is there.

    Where a decay that acts would be huge, the remedy has its number, and no line.
    """
    for text, line in {
        "learning_rate: 0.001\nmax_steps: 10000\n": "weight_decay: 0.347",
        "max_steps: 100\n": "",
    }.items():
        (found,) = audit_training_arguments(write(text)).findings
        assert (found.code, found.line) == ("DW021", line)  # ln 2/(0.2 · 10,000 · 1e-3)
    assert not read_setting_of(write("learning_rate: 0.001\n")).is_typed
    assert read_setting_of(write({"weight_decay": 0})).is_typed


def test_a_decay_that_is_never_used_is_found(write):
    """GaLore's groups and optim_args lose a weight decay silently."""
    for settings in (
        {"optim": "galore_adamw", "weight_decay": 0.1},
        {"optim": "lomo", "weight_decay": 0.1},
        {"optim": "sgd", "weight_decay": 0, "optim_args": "weight_decay=0.1"},
    ):
        audit = audit_training_arguments(write(settings | {"max_steps": 100}))
        assert "DW027" in codes(audit)
        assert audit.exit_code == 1


def test_bfloat16_weights_are_a_dead_zone(write):
    """With weights in bfloat16 a usual decay does nothing; bf16 alone is not that."""
    settings = {"learning_rate": 1e-3, "weight_decay": 0.1, "max_steps": 20_000}
    path = write(settings | {"bf16": True})
    assert codes(audit_training_arguments(path)) == []
    audit = audit_training_arguments(path, given={"dtype": "bfloat16"})
    assert codes(audit) == ["DW009"]


def test_lines_are_written_as_the_file_has_them(write):
    """A line for JSON is JSON, one for YAML is YAML; RMSprop's is the optimizer's."""
    rmsprop = write({"optim": "rmsprop", "weight_decay": 0.1})
    (found,) = audit_training_arguments(rmsprop).findings
    assert (found.code, found.line) == ("DW008", '"optim": "adamw_torch_fused"')
    settings = {"learning_rate": 1e-3, "weight_decay": 0.03, "max_steps": 20_000}
    (in_json,) = audit_training_arguments(write(settings)).findings
    assert json.loads("{" + in_json.line + "}") == {"weight_decay": 0.173}
    lines = "".join(f"{name}: {value}\n" for name, value in settings.items())
    (in_yaml,) = audit_training_arguments(write(lines)).findings
    assert yaml.safe_load(in_yaml.line) == {"weight_decay": 0.173}


def test_every_optimizer_of_the_trainer_is_audited(write):
    """Every name has a knob of the table, or is known to be unknown or unused."""
    for optim, knob in TRANSFORMERS.knobs.items():
        assert knob is None or knob in KNOBS
        settings = {"optim": optim, "weight_decay": 0.1, "max_steps": 100}
        audit = audit_training_arguments(write(settings))
        assert audit.findings or audit.unchecked, optim
        (line,) = audit.table
        assert (line.knob, line.weight_decay) == (knob, 0.1), optim


def test_every_schedule_is_followed_or_unchecked(write):
    """A schedule without a counterpart leaves DW010 unchecked, and the audit has it."""
    for name, rule in TRAINER_SCHEDULES.items():
        settings = {"lr_scheduler_type": name, "weight_decay": 1e-6, "max_steps": 100}
        path = write(settings)
        audit = audit_training_arguments(path)
        is_followed = rule(ScheduleFacts(lr=5e-5, steps=100)) is not None
        assert ("DW010" in codes(audit)) is is_followed, name
        named = [each for each in map(str, audit.unchecked) if name in each]
        assert bool(named) is not is_followed, name
        nearest = audit_training_arguments(path, given={"shape": "linear"})
        assert "DW010" in codes(nearest), name


OPTIONS = {
    "cosine_with_min_lr": ({"min_lr_rate": 0.2}, {"shape": "cosine", "final": 0.2}),
    "cosine_warmup_with_min_lr": ({"min_lr": 1e-4}, {"shape": "cosine", "final": 0.1}),
    "polynomial": ({"lr_end": 5e-4}, {"shape": "linear", "final": 0.5}),
    "warmup_stable_decay": (
        {"num_decay_steps": 30, "min_lr_ratio": 0.1},
        {
            "shape": "wsd-cosine",
            "decay_share": 0.3,
            "final": 0.1,
            "warmup_start": 0.1,
        },
    ),
    "cosine_with_restarts": (
        {"num_cycles": 3},
        {"shape": "cosine-restarts", "period": 0.3},
    ),
    "inverse_sqrt": (
        {"timescale": 20},
        {"shape": "inverse-sqrt", "period": "20 steps"},
    ),
    "constant_with_warmup": ({}, {"shape": "constant"}),
    "constant": ({}, {"warmup": 0.0}),  # it has no warm-up by that name
}
UNFOLLOWED = {
    "cosine": {"num_cycles": 2},
    "cosine_with_restarts": {"num_cycles": 0.3},
    "polynomial": {"power": -2},
    "inverse_sqrt": {"timescale": 0},
    "cosine_with_min_lr": {"min_lr": "low"},
    "warmup_stable_decay": {"num_decay_steps": 1000},
    "warmup_stable_decay ": {"num_decay_steps": 10, "warmup_type": "cosine"},
}


def test_the_options_of_a_schedule_are_read():
    """They become its shape, last lr and fall; what no shape has is not guessed."""
    unfollowed = {name: (options, None) for name, options in UNFOLLOWED.items()}
    for name, (options, fields) in [*OPTIONS.items(), *unfollowed.items()]:
        facts = ScheduleFacts(warmup=0.1, lr=1e-3, steps=100, options=options)
        expected = fields and Schedule(**{"warmup": 0.1, **fields})
        assert TRAINER_SCHEDULES[name.strip()](facts) == expected, name


def test_a_number_below_0_is_refused_with_file_and_key(write):
    """The optimizer would refuse it without saying where it stands."""
    for key in ("weight_decay", "learning_rate"):
        path = write({"max_steps": 100, key: -1})
        with pytest.raises(AuditTargetError) as raised:
            read_setting_of(path)
        assert (raised.value.target, raised.value.got) == (path, "-1")
        assert key in raised.value.must


# lr, decay, steps, warm-up and shape -> what a weight keeps, in percent: AdamW in
# float64 that steps get_scheduler of transformers 5.23.0, with a zero gradient.
LONG = {
    (1e-2, 1.0, 100, 500, "linear"): 90.568,
    (5e-4, 0.1, 4689, 9378, "cosine"): 94.31,
    (5e-4, 0.1, 4689, 1e9, "cosine"): 99.99995,
}


def test_a_warm_up_that_is_longer_than_the_run_is_left_on_its_way(write):
    """The lr gets as far as the run goes, under any schedule behind the warm-up."""
    for (lr, decay, steps, warmup, shape), kept in LONG.items():
        settings = {"learning_rate": lr, "weight_decay": decay, "max_steps": steps}
        settings |= {"warmup_steps": warmup, "lr_scheduler_type": shape}
        audit = audit_training_arguments(write(settings))
        (line,) = audit.table
        assert line.lr == pytest.approx(lr * steps / warmup)
        assert 100 * line.kept == pytest.approx(kept, abs=0.005 if kept < 99 else 5e-6)


def test_every_schedule_rises_as_far_as_the_run_goes(write):
    """Every schedule with a warm-up has t/W of the lr at step t."""
    others = {
        "constant": lambda _: 1e-3,
        # From min_lr_ratio up.
        "warmup_stable_decay": lambda t: 1e-3 * (0.1 + 0.9 * t / 400),
    }
    skipped = {"reduce_lr_on_plateau", "greedy", "cosine_warmup_with_min_lr"}
    for name in TRAINER_SCHEDULES.keys() - skipped:
        options = OPTIONS.get(name, ({},))[0]
        settings = {"max_steps": 100, "learning_rate": 1e-3, "warmup_steps": 400}
        settings |= {"lr_scheduler_type": name, "lr_scheduler_kwargs": options}
        run = read_setting_of(write(settings)).run
        at = others.get(name, lambda t: 1e-3 * t / 400)
        lrs = [run.lr * each for each in run.multipliers()]
        assert lrs == pytest.approx(list(map(at, range(100))), abs=1e-15), name


def test_a_warm_up_is_as_long_as_the_run_by_count_or_by_share(write):
    """The last step is one short of the peak; a warm-up of another kind is not read."""
    for warmup in ({"warmup_steps": 100}, {"warmup_ratio": 1.0}):
        run = read_setting_of(write({"max_steps": 100, **warmup})).run
        assert run.lr * run.multipliers()[-1] == pytest.approx(5e-5 * 0.99)
    name = {"lr_scheduler_type": "cosine_warmup_with_min_lr"}
    name |= {"lr_scheduler_kwargs": {"min_lr": 1e-6}, "max_steps": 100}
    path = write({**name, "warmup_steps": 500})
    setting = read_setting_of(path)
    assert setting.run.steps is None
    assert any("cosine_warmup" in str(each) for each in setting.unchecked)


def test_a_warm_up_given_beside_the_file_replaces_one_that_is_too_long(write):
    """Another shape alone has no place beside a warm-up that never ends."""
    path = write({"max_steps": 100, "warmup_steps": 500, "learning_rate": 1e-3})
    run = read_setting_of(path, given={"warmup": 0.1}).run
    assert (run.lr, run.schedule.warmup) == (1e-3, 0.1)
    assert run.schedule.shape == "linear"
    with pytest.raises(RangeError) as raised:
        read_setting_of(path, given={"shape": "cosine"})
    assert (raised.value.name, raised.value.value) == ("warmup_steps", "500")
    run = read_setting_of(path, given={"lr": 1e-2}).run
    assert run.lr == pytest.approx(2e-3)


def test_a_change_between_two_files(write):
    """Two files: what moved, and the line of the file that keeps the half-life."""
    old = {"learning_rate": 3e-4, "weight_decay": 0.1, "num_train_epochs": 30}
    old["per_device_train_batch_size"] = 256
    new = old | {"learning_rate": 8e-4, "per_device_train_batch_size": 2048}
    given = {"dataset_size": 100_000}
    audit = audit_changed_files(
        write(old, "old"), write(new, "new"), given_before=given, given_after=given
    )
    moved = next(each for each in audit.findings if each.code == "DW030")
    assert json.loads("{" + moved.line + "}") == {"weight_decay": 0.299}
    assert [line.group for line in audit.table] == ["before", "after"]
    assert moved.where.endswith("new.json: weight_decay")


MEANT = {
    "learning_rte": "learning_rate",
    "weight-decay": "weight_decay",
    "weightdecya": "weight_decay",
    "Weight_Decay": "weight_decay",
    "num_train_epoch": "num_train_epochs",
    "per_device_train_batchsize": "per_device_train_batch_size",
    "gradient_acumulation_step": "gradient_accumulation_steps",
    "optm": "optim",
    # The Trainer's other arguments, and names of other programs.
    **dict.fromkeys(("option", "steps", "save_step", "adam_epsilon", "lr", "eps")),
    "model_name": None,
}


def test_a_misspelt_key_is_known_by_what_was_meant():
    """One or two mistakes in a name that bears on decay; other names are left alone."""
    assert {typed: meant_by(typed) for typed in MEANT} == MEANT


def test_a_misspelt_key_is_an_error_with_the_line(write):
    """A key that is not read is DW028, and its line has the value that was typed."""
    lines = {
        'lr_scheduler_kwargs: {"a": 1}': ("lr_scheduler_kwarg", {"a": 1}),
        "optim: sgd": ("optm", "sgd"),
        "auto_find_batch_size: true": ("auto_find_batchsize", True),
        "learning_rate: 5.0e-05": ("learning_rte", 5e-5),
    }
    for line, (name, value) in lines.items():
        (found,) = misspelt_keys("args.yaml", {name: value})
        assert found.line == line
    audit = audit_training_arguments(write({"warmup_steps": 0, "learning_rte": 3}))
    (found,) = [each for each in audit.findings if each.code == "DW028"]
    assert (found.severity, audit.exit_code) == ("error", 1)
    assert found.where.endswith(": learning_rte")
    assert json.loads("{" + found.line + "}") == {"learning_rate": 3}
    # Nothing decays because of the mistake: that is the finding, and the only one.
    lost = audit_training_arguments(write("warmup_steps: 0\nweight_decya: 0.1\n"))
    assert codes(lost) == ["DW028"]
    both = write({"weight_decay": 0, "weight_decya": 0.1})
    assert codes(audit_training_arguments(both)) == ["DW028", "DW021"]


NUMBERS = st.one_of(st.floats(), st.integers(-5, 10**12), st.floats(1e-6, 1.0))
NAMES = [*TRANSFORMERS.knobs, *TRAINER_SCHEDULES, *SCHEDULES, "4800ba", "0.1dur"]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    NUMBERS,
    NUMBERS.map(str),
    st.text(max_size=5),
    st.sampled_from(NAMES),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from(["min_lr", "num_decay_steps"]), NUMBERS),
)


def files_of(trainer):
    """Any values at the keys that one trainer reads, and at those it is known by."""
    keys = st.sampled_from([key.replace("{at}", "") for key in trainer.all_keys])
    mark = {key: VALUES for marks in trainer.marks[:1] for key in marks}
    marked = st.fixed_dictionaries(mark or {"learning_rate": VALUES})
    return st.tuples(st.dictionaries(keys, VALUES), marked)


FILES = st.sampled_from([each for each in TRAINERS if not each.why_not])


@limited(max_examples=40)  # an audit takes some fifty times as long as a formula
@given(
    parts=FILES.flatmap(files_of),
    facts=st.sampled_from([{}, {"steps": 50}, {"epochs": 9, "dataset_size": 1000}]),
)
def test_any_settings_give_an_audit_or_an_error_of_ours(parts, facts, tmp_path_factory):
    """Any values in a file of any trainer give an audit or an error that teaches."""
    path = tmp_path_factory.mktemp("any") / "args.json"
    path.write_text(json.dumps(parts[0] | parts[1]))
    try:
        shown = audit_training_arguments(str(path), given=facts)
    except DwindleError as error:
        shown = error
    assert str(shown)
    if isinstance(shown, Audit):
        json.dumps(shown.as_dict())

"""Settings files of other trainers: read by their own names, or refused by name."""

import math
from itertools import product
from pathlib import Path

import pytest
import yaml
from oracle import decay_by_hand

from dwindle.audit import audit_training_arguments
from dwindle.audit.findings import Unchecked
from dwindle.audit.trainer_setting import read_setting_of
from dwindle.audit.trainers import foreign_keys, unread_keys
from dwindle.cli.main import main
from dwindle.decay.explain import explain
from dwindle.errors import UnknownNameError

HERE = Path(__file__).parents[1] / "settings"
ADAMW, EIGHT_BIT = "torch.optim.AdamW", "bitsandbytes.optim.AdamW"
PAGED = "bitsandbytes.optim.PagedAdamW8bit"
COMPOSER, LN2 = "composer.optim.DecoupledAdamW", math.log(2)
# Composer's decay is not multiplied by the lr: 0.1 of a weight per step.
TENTH = -LN2 / math.log1p(-0.1)
ONE_CYCLE = "batch_size: 8\nscheduler: {max_lr: 0.8}\n_target_"
TOKENS = "1e9tok\nmax_seq_len: 2048"
DS, DIFF, LLM = "deepspeed.json", "diffusers.json", "llm-foundry.yaml"
# File and what is changed in it -> knob, half-life in steps at the peak lr, batch size.
READ = {
    (LLM,): (COMPOSER, TENTH, 256),
    (LLM, "4800ba", TOKENS): (COMPOSER, TENTH, 256),
    ("timm.yaml",): ("timm.adamw", LN2 / 5e-5, 256),
    ("hydra.yaml",): (ADAMW, LN2 / 5e-5, None),
    # OneCycleLR overwrites the lr.
    ("hydra.yaml", "_target_", ONE_CYCLE): (ADAMW, -LN2 / math.log1p(-0.04), 8),
    ("hydra.yaml", ADAMW, PAGED): (EIGHT_BIT, LN2 / 5e-5, None),
    ("axolotl.yml",): (EIGHT_BIT, LN2 / 2e-5, 8),
    ("kohya.toml",): (EIGHT_BIT, LN2 / 1e-5, 2),
    # DeepSpeed's Adam is AdamW unless adam_w_mode is off; its scheduler sets the lr,
    # 0.001 where the file has no warmup_max_lr.
    (DS,): (ADAMW, LN2 / 1e-5, 256),
    (DS, 'total_num_steps": 10000', 'warmup_max_lr": 2e-3'): (ADAMW, LN2 / 2e-5, 256),
    (DS, "WarmupDecayLR", "WarmupCosineLR"): (ADAMW, LN2 / 1e-6, 256),
    (DS, '"lr":', '"adam_w_mode": false, "lr":'): ("torch.optim.Adam", None, 256),
    (DIFF,): (ADAMW, LN2 / 1e-7, 64),
    (DIFF, '"max_train', '"scale_lr": true, "max_train'): (ADAMW, LN2 / 64e-7, 64),
    ("nemo.yaml",): (ADAMW, LN2 / 2e-6, 256),
    ("litgpt.yaml",): (ADAMW, LN2 / 4e-5, 512),
    ("litgpt-old.yaml",): (ADAMW, LN2 / 4e-5, 512),
    ("torchtune.yaml",): (ADAMW, LN2 / 2e-7, 16),
    ("lightning.yaml",): (ADAMW, LN2 / 5e-5, 1024),
    ("lightning.yaml", "epochs: 90", "epochs: 90, devices: 4"): (
        ADAMW, LN2 / 5e-5, 4096
    ),
    ("keras.json",): ("keras.optimizers.AdamW", LN2 / 4e-6, None),
    ("wandb.yaml",): (ADAMW, LN2 / 5e-7, 8),
}  # fmt: skip


@pytest.fixture
def changed(tmp_path):
    """A file of tests/settings with one text in place of another; its path."""

    def _changed(name, old="", new=""):
        text = (HERE / name).read_text(encoding="utf-8")
        assert old in text
        (tmp_path / name).write_text(text.replace(old, new) if old else text)
        return str(tmp_path / name)

    return _changed


def test_files_are_read_by_their_own_names(changed):
    """Optimizer, half-life and batch are those of the trainer that reads the file."""
    wrong = {}
    for file, (knob, steps, batch) in READ.items():
        (line,) = audit_training_arguments(changed(*file)).table
        got = (line.knob, line.half_life["steps"], line.run.batch_size)
        # 1e-4: the closed forms LN2 / s leave out s/2, at most 3e-5 here.
        if got != (knob, steps and pytest.approx(steps, rel=1e-4), batch):
            wrong[file] = got
    assert wrong == {}


def test_ultralytics_multiplies_the_decay(changed):
    """The number of the file is multiplied by batch · accumulated / nbs."""
    for batch, decay, examples in ((128, 1e-3, 128), (16, 5e-4, 64), (48, 3.75e-4, 48)):
        path = changed("ultralytics.yaml", "batch: 128", f"batch: {batch}")
        (line,) = audit_training_arguments(path).table
        assert line.weight_decay == pytest.approx(decay, rel=1e-12)
        assert line.run.batch_size == examples
        if batch == 128:
            # Stepped with torch.optim.SGD, momentum 0.937, Nesterov, lr 0.01, 1e-3.
            assert line.half_life["steps"] == pytest.approx(4356, abs=1.5)


MEGATRON = {
    "lr": 3e-3,
    "min_lr": 3e-4,
    "train_iters": 400,
    "global_batch_size": 8,
    "lr_warmup_iters": 40,
    "weight_decay": 0.1,
}
GROWS = {"start_weight_decay": 0.05, "end_weight_decay": 0.2}
STYLES = (
    {"lr_decay_style": "constant"},
    {"lr_decay_style": "linear", "lr_warmup_init": 3e-4},
    {"lr_decay_style": "cosine", **GROWS, "weight_decay_incr_style": "linear"},
    {"lr_decay_style": "cosine", **GROWS, "weight_decay_incr_style": "cosine"},
    {"lr_decay_style": "inverse-square-root", "lr_warmup_iters": 4},
    {"lr_decay_style": "inverse-square-root", "min_lr": 0.0},
    *(
        {"lr_decay_style": "WSD", "lr_wsd_decay_iters": 100, "lr_wsd_decay_style": each}
        for each in ("linear", "cosine", "exponential", "minus_sqrt")
    ),
    {"lr_decay_style": "WSD", "lr_wsd_decay_iters": 100},
)


def test_megatron_is_stepped_as_its_scheduler_does(write):
    """What a run leaves under each style of lr and decay, against its own two rules."""
    wrong = {}
    for style in STYLES:
        options, steps = {**MEGATRON, **style}, MEGATRON["train_iters"]
        (line,) = audit_training_arguments(write(options)).table
        by_hand, lost = decay_by_hand.Megatron(options, steps), 0.0
        for step in range(steps):
            moves = "weight_decay_incr_style" in style
            decay = by_hand.weight_decay(step) if moves else 0.1
            lost -= math.log1p(-by_hand.lr(step) * decay)
        # 1e-12: sums of rounded logarithms.
        if line.e_folds != pytest.approx(lost, rel=1e-12):
            wrong[str(style)] = (line.e_folds, lost)
    assert wrong == {}


def test_a_file_may_have_dwindles_own_names(tmp_path):
    """A knob, its number and facts of a run in TOML are what explain makes of them."""
    facts = {"lr": 1e-3, "steps": 500, "warmup": "50 steps", "batch_size": 8}
    path = tmp_path / "mine.toml"
    lines = [f"{name} = {each!r}" for name, each in facts.items()]
    lines += ['knob = "torch.AdamW"', 'schedule = "cosine"', "value = 0.04"]
    lines += ['decay_schedule = "cosine from 0.04 to 0.4"']
    path.write_text("\n".join(lines))
    audit = audit_training_arguments(str(path))
    (line,) = audit.table
    run = {**facts, "schedule": "cosine", "decay_schedule": "cosine from 0.04 to 0.4"}
    explanation = explain(0.04, "torch.AdamW", run=run)
    assert line.e_folds == explanation.e_folds
    assert line.half_life == explanation.half_life
    (longer,) = audit_training_arguments(str(path), given={"steps": 1000}).table
    explanation = explain(0.04, "torch.AdamW", run={**run, "steps": 1000})
    assert longer.e_folds == explanation.e_folds
    assert not any("Not read" in each for each in map(str, audit.unchecked))
    path.write_text("\n".join([*lines, "batchsize = 8"]))
    with pytest.raises(UnknownNameError) as raised:
        audit_training_arguments(str(path))
    assert raised.value.name == "batchsize"


def test_a_course_of_megatron_that_no_shape_has_is_not_followed(write):
    """A fall over another length than the run's leaves the sum over the run open."""
    for other in ({"lr_decay_iters": 300}, {"lr_decay_style": "tanh"}):
        settings = {**MEGATRON, "lr_decay_style": "cosine", **other}
        (line,) = audit_training_arguments(write(settings)).table
        assert (line.e_folds, line.knob) == (
            None,
            "megatron.core.optimizer.OptimizerConfig",
        )


# The lr of six epochs behind two of warm-up, as cosine_lr.py, poly_lr.py, step_lr.py,
# multistep_lr.py of timm 1.0.31 have it: worked out by hand, to eight digits. A lone
# name is a schedule, others an option beside cosine.
COSINE = [0.08681981, 0.07222075, 0.055, 0.03777925, 0.02318019, 0.01342542]
WHOLE = [
    0.1,
    0.09657452,
]  # the first two of eight, behind a warm-up that is before them
TIMM = {
    "cosine": COSINE,
    "poly": [0.0775, 0.06625, 0.055, 0.04375, 0.0325, 0.02125],
    "step": [0.1, 0.05, 0.05, 0.05, 0.025, 0.025],
    "multistep": [0.1, 0.05, 0.05, 0.025, 0.025, 0.025],
    "constant": [0.1] * 6,
    # One cycle knows nothing of the next.
    "lr_cycle_mul: 2": COSINE,
    "lr_cycle_decay: 0.5": COSINE,
    # Half of the lr over least in the second cycle, of eight epochs more.
    "lr_cycle_limit: 2, lr_cycle_decay: 0.5": [
        *COSINE, *(0.01 + (lr - 0.01) * 4 / 9 for lr in (*WHOLE, *COSINE))
    ],
    "cooldown_epochs: 2": [*COSINE, 0.01, 0.01],
    "warmup_prefix: true": [*WHOLE, *COSINE],
    # (t/8)² instead of t/8.
    "lr_k_decay: 2": [
        0.055 + 0.045 * math.cos(math.pi * (t / 8) ** 2) for t in range(2, 8)
    ],
}  # fmt: skip


def test_timm_moves_the_lr_once_in_an_epoch(write):
    """Eight epochs of ten steps under each of its schedules: the sum over them."""
    settings = {"opt": "adamw", "lr": 0.1, "weight_decay": 0.01, "batch_size": 10}
    settings |= {"epochs": 8, "warmup_epochs": 2, "warmup_lr": 0.02, "min_lr": 0.01}
    settings |= {"decay_rate": 0.5, "decay_epochs": 3, "decay_milestones": [4, 6]}
    found, expected = {}, {}
    for name, lrs in TIMM.items():
        options = yaml.safe_load(f"{{{name}}}") if ":" in name else {"sched": name}
        options |= {"decay_rate": 1.0} if name == "poly" else {}
        path = write({"sched": "cosine", **settings, **options})
        (line,) = audit_training_arguments(path, given={"dataset_size": 100}).table
        found[name] = line.e_folds
        expected[name] = sum(-10 * math.log1p(-0.01 * lr) for lr in (0.02, 0.06, *lrs))
    assert found == pytest.approx(expected, rel=1e-6)


def test_timm_moves_the_lr_at_each_step_where_the_file_has_it_so(changed):
    """With sched_on_updates its cosine goes on through the warm-up, step by step."""
    more = "sched_on_updates: true\nepochs: 90\nwarmup_epochs: 9\nmin_lr: 1e-4\nopt"
    given = {"epochs": 30, "lr": 1e-2, "dataset_size": 25_600}
    run = read_setting_of(changed("timm.yaml", "opt", more), given=given).run
    lrs = [run.lr * each for each in run.multipliers()]
    # Step 400 is of the warm-up, 9/30 of the way; step 1,500 is at half of the cosine.
    assert (run.epochs, len(lrs)) == (30, 3000)
    assert lrs[400] == pytest.approx(1e-5 + (1e-2 - 1e-5) * 400 / 900)
    assert lrs[1500] == pytest.approx((1e-2 + 1e-4) / 2)


def test_an_lr_with_noise_is_not_followed(changed):
    """The option is named: no sum over the run is formed."""
    path = changed("timm.yaml", "opt", "epochs: 8\nlr_noise: [0.4, 0.9]\nopt")
    audit = audit_training_arguments(path, given={"dataset_size": 1000})
    assert audit.table[0].e_folds is None
    assert [each for each in audit.unchecked if "lr_noise" in str(each)]


def test_the_momentum_of_a_file_is_read(write):
    """timm's files have the momentum: a step takes lr·decay/(1 - momentum) off.

    Where the file has none, timm's own 0.9 counts.
    """
    settings = {"lr": 0.4, "weight_decay": 2.0e-5, "batch_size": 128, "sched": "cosine"}
    wrong = {}
    for name, (momentum, factor) in product(
        ("sgd", "momentum", "nesterov"), {0.8: 5, 0.9: 10, 0.95: 20, None: 10}.items()
    ):
        given = {} if momentum is None else {"momentum": momentum}
        path = write(settings | given | {"opt": name})
        steps = audit_training_arguments(path).table[0].half_life["steps"]
        # 1 %: the root of momentum is lr·λ·10 away from the quotient, Nesterov's 1e-5.
        if steps != pytest.approx(LN2 / 8e-6 / factor, rel=1e-2):
            wrong[name, momentum] = steps
    assert wrong == {}


def test_a_decay_to_write_is_in_the_numbers_of_the_file(changed):
    """What is advised for Ultralytics is divided by what it multiplies by."""
    facts = {"dataset_size": 100_000}
    path = changed("ultralytics.yaml", "0.0005", "0.05")
    found = audit_training_arguments(path, given=facts).findings
    lines = {each.line for each in found if "weight_decay" in each.line}
    assert lines
    for line in lines:
        written = line.partition(":")[2].partition("#")[0]
        path = changed("ultralytics.yaml", " 0.0005", written)
        again = audit_training_arguments(path, given=facts).findings
        codes = {each.code for each in found if each.line == line}
        assert codes.isdisjoint(each.code for each in again)


ARGUMENTS = "learning_rate: 2.0e-5\nweight_decay: 0.1\nnum_train_epochs: 1\n"
LITGPT = (HERE / "litgpt.yaml").read_text("utf-8")
DTYPES = {
    ARGUMENTS + "torch_dtype: bfloat16\n": "bfloat16",
    ARGUMENTS + "dtype: float16\n": "float16",
    ARGUMENTS + "pure_bf16: true\n": "bfloat16",
    ARGUMENTS + "torch_dtype: auto\nbf16: true\n": "float32",
    LITGPT + "precision: bf16-true\n": "bfloat16",
    LITGPT + "precision: bf16-mixed\n": "float32",
}


def test_the_dtype_of_a_file_is_read(write):
    """Files name the dtype of the weights; bf16 alone does not, as mixed does not."""
    for text, dtype in DTYPES.items():
        path = write(text)
        found = audit_training_arguments(path)
        assert found.table[0].run.dtype == dtype, text
        codes = {each.code for each in found.findings}
        assert ("DW009" in codes) == (dtype != "float32"), text
        given = audit_training_arguments(path, given={"dtype": "float32"})
        assert given.table[0].run.dtype == "float32", text
    # A decay that float32 itself rounds away is not mended by loading float32.
    text = "learning_rate: 5.0e-7\nweight_decay: 0.05\nnum_train_epochs: 1\n"
    found = audit_training_arguments(write(text)).findings
    (dead,) = (each for each in found if each.code == "DW009")
    assert "float32" not in dead.line
    assert dead.case not in {"loaded", "wider"}


def test_what_bears_on_the_decay_and_is_not_read_is_listed(changed):
    """Keys of lr, optimizer, length, batch, schedule, dtype and decay are named."""
    names = ["layer_decay", "model_ema_decay", "seed", "val_batch_size", "lr"]
    (listed,) = unread_keys(names, read={"lr"})
    assert listed.endswith(": layer_decay, model_ema_decay.")
    extra = "layer_decay: 0.75\nmodel_ema_decay: 0.9\nseed: 1\nopt"
    whole = audit_training_arguments(changed("timm.yaml", "opt", extra))
    assert listed in whole.unchecked
    # Where all were read, each sentence is on codes that lack a fact.
    unchecked = audit_training_arguments(changed("ultralytics.yaml")).unchecked
    assert all(isinstance(each, Unchecked) for each in unchecked)
    own = {"weight_decay": 0.1, "epochs": 3, "own": 1}
    assert foreign_keys(own) == ["epochs"]


def test_a_schedule_that_is_not_known_forms_no_sum(changed):
    """Where the schedule cannot be followed, no share of the run is given."""
    path = changed("detectron.yaml", "}", ", MAX_ITER: 90000}")
    for given, steps in (({}, None), ({"shape": "cosine"}, 90_000)):
        found = audit_training_arguments(path, given=given)
        assert found.table[0].run.steps == steps
        named = [each for each in found.unchecked if "WarmupMultiStepLR" in str(each)]
        assert len(named) == (steps is None)


def test_a_text_that_is_no_settings_file_is_answered_with_what_to_type(
    tmp_path, monkeypatch, capsys
):
    """A script with flags, or settings in Python, are not read; one types numbers."""
    monkeypatch.chdir(tmp_path)
    for name in ("train.sh", "model.cfg", "job.slurm", "nanogpt.py"):
        is_python = name.endswith(".py")
        text = "lr = 6e-5\n" if is_python else "--lr 6e-5 --weight-decay 0.1\n"
        (tmp_path / name).write_text(text)
        assert main(["audit", name]) == 2
        assert "dwindle explain" in capsys.readouterr().err


# A file with a warm-up of 40 steps -> the lr of the file, and the first and the last of
# 20 steps over it. transformers has t/W, NeMo (t + 1)/(W + 1), DeepSpeed ln t / ln W;
# LitGPT has no W beyond the run, and the last of 128 batches in each step. Composer
# refuses it, and Ultralytics has cut it in some versions.
LONG_WARMUPS = {
    ("axolotl.yml", "lr_sch", "warmup_steps: 40\nlr_sch"): (2e-4, 0, 19 / 40),
    ("diffusers.json", "constant", 'linear", "lr_warmup_steps": "40'): (
        1e-5, 0, 19 / 40
    ),
    ("diffusers.json", "constant", 'constant", "lr_warmup_steps": "40'): (1e-5, 1, 1),
    ("nemo.yaml", "500", "40"): (2e-4, 1 / 41, 20 / 41),
    ("litgpt.yaml", "{global", "{lr_warmup_steps: 40, global"): (
        4e-4, 127 / 2560, 2559 / 2560
    ),
    (DS, '"total', '"warmup_num_steps": 40, "total'): (
        1e-3, 0, math.log(19) / math.log(40)
    ),
    (LLM, "100ba", "40ba"): None,
    ("ultralytics.yaml", "warmup_epochs: 3", "warmup_epochs: 300"): None,
}  # fmt: skip


def test_a_warm_up_that_is_longer_than_the_run_goes_as_its_trainer_has_it(changed):
    """It gets as far as the run goes; what depends on the version is not followed."""
    for file, found in LONG_WARMUPS.items():
        length = {"dataset_size": 1280} if "ultralytics.yaml" in file else {"steps": 20}
        audit = audit_training_arguments(changed(*file), given=length)
        run = audit.table[0].run
        if found is None:
            assert (run.steps, run.epochs) == (None, None), file
            assert [each for each in audit.unchecked if "warm-up" in str(each)], file
            continue
        lr, *ends = found
        lrs = [run.lr * each / lr for each in run.multipliers()]
        assert [lrs[0], lrs[-1]] == pytest.approx(ends), file


def test_a_length_that_is_given_counts_instead_of_the_files(changed):
    """A warm-up in steps is a share of the steps that are given, one in epochs too."""
    path = changed(LLM)
    run = audit_training_arguments(path, given={"steps": 1000}).table[0].run
    assert (run.steps, run.epochs, run.schedule.warmup) == (1000, None, 0.1)
    # What is no number is an unknown batch size.
    path = changed("timm.yaml", "batch_size: 256", "batch_size: .inf")
    assert audit_training_arguments(path).table[0].run.batch_size is None


def composers(t):
    return t / 100 if t < 100 else 0.55 + 0.45 * math.cos(math.pi * (t - 100) / 4700)


def deepspeeds(t, *, warm=1000, linear=False):
    """A step has the lr that was computed behind the one before it."""
    t = max(t - 1, 0)
    if t < warm:
        return t / warm if linear else math.log(t + 1) / math.log(warm)
    return (10_000 - t) / (10_000 - warm)


def ultralytics(t, *, cosine=False):
    """10 steps in an epoch, of 100; 3 of warm-up."""
    share = t // 10 / 100
    share = (1 - math.cos(math.pi * share)) / 2 if cosine else share
    return (1 - 0.99 * share) * min(1, t / 30)


def litgpts(t, *, batches=128):
    """A step has the lr of the last of its batches, of 1,000 · 128 in all."""
    it = (t + 1) * batches - 1
    if it < 50 * batches:
        return it / (50 * batches)
    return (1 + math.cos(math.pi * (it / batches - 50) / 950)) / 2


YOLO = {"dataset_size": 1280}
# File, what is changed in it, and facts beside it -> steps, and the lr of a step over
# the lr of the file: the formulas of the trainers' own sources.
COURSES = (
    ((LLM,), {}, 4800, composers),
    ((LLM, "100ba", "0.125dur"), {}, 4800, lambda t: t / 600 if t < 600 else None),
    ((LLM, "100ba", "1ep"), {"dataset_size": 25_600}, 4800, composers),
    ((LLM, "4800ba", TOKENS), {}, 1907, lambda _: None),  # 1e9 / (2048 · 256)
    ((DS,), {}, 10_000, deepspeeds),
    ((DS, '"total', '"warmup_num_steps": 40, "total'), {}, 10_000,
     lambda t: deepspeeds(t, warm=40)),
    ((DS, '"total', '"warmup_type": "linear", "total'), {}, 10_000,
     lambda t: deepspeeds(t, linear=True)),
    ((DS, "WarmupDecayLR", "WarmupLR"), {}, 10_000,
     lambda t: deepspeeds(t) if t <= 1000 else 1),
    (("ultralytics.yaml",), YOLO, 1000, ultralytics),
    (("ultralytics.yaml", "nbs", "cos_lr: true\nnbs"), YOLO, 1000,
     lambda t: ultralytics(t, cosine=True)),
    (("litgpt.yaml", "{global", "{lr_warmup_steps: 50, global"), {}, 1000, litgpts),
    (("litgpt.yaml", "{global", "{lr_warmup_steps: 50, micro_batch_size: 512, global"),
     {}, 1000, lambda t: litgpts(t, batches=1)),
)  # fmt: skip


def test_the_lr_of_every_step_is_that_of_the_trainer(changed):
    """Warm-ups begin where theirs do, and falls where theirs do."""
    wrong = {}
    for file, given, steps, at in COURSES:
        reading = read_setting_of(changed(*file), given=given)
        lrs = [
            reading.run.lr / reading.reading.lr * x for x in reading.run.multipliers()
        ]
        pairs = [(lr, at(t)) for t, lr in enumerate(lrs) if at(t) is not None]
        if len(lrs) != steps or any(abs(lr - to) > 1e-12 for lr, to in pairs):
            wrong[file] = next(
                (t, *each)
                for t, each in enumerate(pairs)
                if abs(each[0] - each[1]) > 1e-12
            )
    assert wrong == {}


def test_a_long_run_is_listed_in_parts(changed):
    """10,000 rows stand for a million steps: the sum is right to a step in 50,000."""
    run = read_setting_of(changed(DS), given={"steps": 1_000_000}).run
    rise = sum(math.log(t) / math.log(1000) for t in range(1, 1001))
    total = run.rates().total(float) * run.lr / 1e-3
    assert total == pytest.approx(rise + 999_000 / 2, rel=2e-5)

"""Settings files of other trainers: read by their own names, or refused by name."""

import json
import math
from pathlib import Path

import pytest

from dwindle.audit import audit_training_arguments
from dwindle.audit.other_trainers import TRAINERS
from dwindle.cli.main import main
from dwindle.errors import AuditTargetError

LN2 = math.log(2)
ULTRALYTICS = """\
epochs: 100
batch: {batch}
optimizer: SGD
lr0: 0.01
lrf: 0.01
momentum: 0.937
weight_decay: 0.0005
warmup_epochs: 3.0
nbs: 64
"""
FOUNDRY = """\
optimizer: {name: decoupled_adamw, lr: 6.0e-4, betas: [0.9, 0.95], weight_decay: 0.1}
scheduler: {name: cosine_with_warmup, t_warmup: 100ba, alpha_f: 0.1}
max_duration: 4800ba
global_train_batch_size: 256
"""
TIMM = "opt: adamw\nlr: 0.001\nweight_decay: 0.05\nsched: cosine\nbatch_size: 256\n"
HYDRA = "_target_: torch.optim.AdamW\nlr: 0.001\nweight_decay: 0.05\n"
AXOLOTL = """\
micro_batch_size: 2
gradient_accumulation_steps: 4
num_epochs: 4
optimizer: adamw_bnb_8bit
lr_scheduler: cosine
learning_rate: 2e-4
weight_decay: 0.1
"""
KOHYA = """\
learning_rate = 1e-4
lr_scheduler = "constant"
optimizer_type = "AdamW8bit"
optimizer_args = ["weight_decay=0.1", "betas=0.9,0.99"]
train_batch_size = 2
max_train_steps = 1500
"""
DEEPSPEED = {
    "train_batch_size": 256,
    "optimizer": {"type": "Adam", "params": {"lr": 1e-4, "weight_decay": 0.01}},
    "scheduler": {"type": "WarmupDecayLR", "params": {"total_num_steps": 10000}},
}
DIFFUSERS = {
    "learning_rate": 1e-5,
    "adam_weight_decay": 0.01,
    "train_batch_size": 16,
    "gradient_accumulation_steps": 4,
    "max_train_steps": 15000,
    "lr_scheduler": "constant",
}
NEMO = """\
trainer: {max_steps: 1000}
model:
  global_batch_size: 256
  optim:
    name: distributed_fused_adam
    lr: 2e-4
    weight_decay: 0.01
    sched: {name: CosineAnnealing, warmup_steps: 500, min_lr: 2e-5}
"""
LITGPT = """\
optimizer:
  class_path: torch.optim.AdamW
  init_args: {lr: 4e-4, weight_decay: 1e-1, betas: [0.9, 0.95]}
train: {global_batch_size: 512, max_tokens: 1048576000, max_seq_length: 2048}
"""
LITGPT_OLD = """\
train: {global_batch_size: 512, learning_rate: 4e-4, weight_decay: 1e-1}
"""
DETECTRON = "SOLVER: {BASE_LR: 0.02, WEIGHT_DECAY: 0.0001, IMS_PER_BATCH: 16}\n"
TORCHTUNE = """\
batch_size: 2
gradient_accumulation_steps: 8
epochs: 3
optimizer: {_component_: torch.optim.AdamW, lr: 2e-5, weight_decay: 0.01}
dtype: bf16
"""
LIGHTNING = """\
trainer: {max_epochs: 90, accumulate_grad_batches: 4, precision: bf16-mixed}
optimizer:
  class_path: torch.optim.AdamW
  init_args: {lr: 0.001, weight_decay: 0.05}
data: {init_args: {batch_size: 256}}
"""
KERAS = {
    "class_name": "AdamW",
    "config": {"learning_rate": 0.001, "weight_decay": 0.004, "beta_1": 0.9},
}
WANDB = """\
wandb_version: 1
_wandb: {desc: null, value: {python_version: 3.11.0}}
learning_rate: {desc: null, value: 5.0e-05}
weight_decay: {desc: null, value: 0.01}
num_train_epochs: {desc: null, value: 3}
per_device_train_batch_size: {desc: null, value: 8}
"""
# File -> knob, half-life in steps at the peak lr (closed forms), batch size.
READ = {
    "llm-foundry.yaml": (
        FOUNDRY,
        "composer.optim.DecoupledAdamW",
        -LN2 / math.log1p(-0.1),
        256,
    ),
    "timm.yaml": (TIMM, "timm.adamw", LN2 / 5e-5, 256),
    "hydra.yaml": (HYDRA, "torch.optim.AdamW", LN2 / 5e-5, None),
    "axolotl.yml": (AXOLOTL, "bitsandbytes.optim.AdamW", LN2 / 2e-5, 8),
    "kohya.toml": (KOHYA, "bitsandbytes.optim.AdamW", LN2 / 1e-5, 2),
    # DeepSpeed's Adam is AdamW unless adam_w_mode is off; its scheduler sets the lr,
    # 0.001 where the file does not say warmup_max_lr.
    "deepspeed.json": (DEEPSPEED, "torch.optim.AdamW", LN2 / 1e-5, 256),
    "deepspeed-lr.json": (
        {
            **DEEPSPEED,
            "scheduler": {"type": "WarmupLR", "params": {"warmup_max_lr": 2e-3}},
        },
        "torch.optim.AdamW",
        LN2 / 2e-5,
        256,
    ),
    "deepspeed-own.json": (
        {**DEEPSPEED, "scheduler": {"type": "WarmupCosineLR", "params": {}}},
        "torch.optim.AdamW",
        LN2 / 1e-6,
        256,
    ),
    "scaled.json": (
        DIFFUSERS | {"scale_lr": True},
        "torch.optim.AdamW",
        LN2 / (64 * 1e-7),
        64,
    ),
    "one-cycle.yaml": (
        HYDRA + "batch_size: 8\nscheduler: {max_lr: 0.8}\n",
        "torch.optim.AdamW",
        -LN2 / math.log1p(-0.04),
        8,
    ),
    "paged.yaml": (
        HYDRA.replace("torch.optim.AdamW", "bitsandbytes.optim.PagedAdamW8bit"),
        "bitsandbytes.optim.AdamW",
        LN2 / 5e-5,
        None,
    ),
    "tokens.yaml": (
        FOUNDRY.replace("4800ba", "1e9tok\nmax_seq_len: 2048"),
        "composer.optim.DecoupledAdamW",
        -LN2 / math.log1p(-0.1),
        256,
    ),
    "diffusers.json": (DIFFUSERS, "torch.optim.AdamW", LN2 / 1e-7, 64),
    "nemo.yaml": (NEMO, "torch.optim.AdamW", LN2 / 2e-6, 256),
    "litgpt.yaml": (LITGPT, "torch.optim.AdamW", LN2 / 4e-5, 512),
    "litgpt-old.yaml": (LITGPT_OLD, "torch.optim.AdamW", LN2 / 4e-5, 512),
    "torchtune.yaml": (TORCHTUNE, "torch.optim.AdamW", LN2 / 2e-7, 16),
    "lightning.yaml": (LIGHTNING, "torch.optim.AdamW", LN2 / 5e-5, 1024),
    "devices.yaml": (
        LIGHTNING.replace("max_epochs: 90", "max_epochs: 90, devices: 4"),
        "torch.optim.AdamW",
        LN2 / 5e-5,
        4096,
    ),
    "keras.json": (KERAS, "keras.optimizers.AdamW", LN2 / 4e-6, None),
    "wandb.yaml": (WANDB, "torch.optim.AdamW", LN2 / 5e-7, 8),
}


def _half_life_steps(line):
    """The half-life of a table's line in steps, by the closed form of its knob."""
    return line.half_life["steps"]


@pytest.mark.parametrize("name", READ)
def test_a_file_is_read_by_its_own_names(write_as, name):
    """Optimizer, half-life and batch are those of the trainer that reads the file."""
    content, knob, steps, batch = READ[name]
    found = audit_training_arguments(write_as(name, content))
    assert f"decays as {knob}" in found.optimizer
    (line,) = found.table
    # 1e-4: the closed forms LN2 / s leave out s/2, at most 3e-5 here.
    assert _half_life_steps(line) == pytest.approx(steps, rel=1e-4)
    assert line.run.batch_size == batch


@pytest.mark.parametrize(
    ("batch", "decay", "examples"),
    [(128, 1e-3, 128), (16, 5e-4, 64), (48, 3.75e-4, 48)],
)
def test_ultralytics_multiplies_the_decay(write_as, batch, decay, examples):
    """The number of the file is multiplied by batch · accumulated / nbs."""
    path = write_as("args.yaml", ULTRALYTICS.format(batch=batch))
    found = audit_training_arguments(path)
    (line,) = found.table
    assert line.weight_decay == pytest.approx(decay, rel=1e-12)
    assert line.run.batch_size == examples
    assert not any(text.startswith("Not read") for text in found.unchecked)
    if batch == 128:
        # Stepped with torch.optim.SGD, momentum 0.937, Nesterov, lr 0.01, decay 1e-3.
        assert _half_life_steps(line) == pytest.approx(4356, abs=1.5)


@pytest.mark.parametrize(("momentum", "factor"), [(0.8, 5), (0.9, 10), (0.95, 20)])
@pytest.mark.parametrize("name", ["sgd", "momentum", "nesterov"])
def test_the_momentum_of_a_file_is_read(write_as, name, momentum, factor):
    """timm's files say the momentum: a step takes lr·decay/(1 - momentum) off."""
    text = f"opt: {name}\nlr: 0.4\nmomentum: {momentum}\nweight_decay: 2.0e-5\n"
    path = write_as("timm.yaml", f"{text}batch_size: 128\nsched: cosine\n")
    (line,) = audit_training_arguments(path).table
    # 1 %: the root of momentum is lr·λ·10 away from the quotient, Nesterov's 1e-5.
    assert line.half_life["steps"] == pytest.approx(LN2 / 8e-6 / factor, rel=1e-2)


def test_a_timm_file_without_momentum_has_its_default(write_as):
    """Where the file says none, timm's own 0.9 counts."""
    text = "opt: sgd\nlr: 0.4\nweight_decay: 2.0e-5\nbatch_size: 128\nsched: cosine\n"
    (line,) = audit_training_arguments(write_as("timm.yaml", text)).table
    assert line.half_life["steps"] == pytest.approx(LN2 / 8e-5, rel=1e-2)


def test_deepspeeds_adam_can_be_coupled(write_as):
    """With adam_w_mode off its Adam is L2, which is no decay of its own."""
    parameters = {"lr": 2e-4, "weight_decay": 0.03, "adam_w_mode": False}
    content = {"train_batch_size": 8, "optimizer": {"type": "Adam"}}
    content["optimizer"]["params"] = parameters
    found = audit_training_arguments(write_as("ds.json", content))
    assert "decays as torch.optim.Adam)" in found.optimizer
    assert "DW008" in {each.code for each in found.findings}


def test_weights_in_16_bits_are_known_from_the_precision(write_as):
    """LitGPT's bf16-true keeps weights in bfloat16, its bf16-mixed does not."""
    for precision, dtype in (("bf16-true", "bfloat16"), ("bf16-mixed", "float32")):
        path = write_as("litgpt.yaml", f"precision: {precision}\n{LITGPT}")
        assert audit_training_arguments(path).table[0].run.dtype == dtype


def test_tokens_of_a_run_become_steps(write_as):
    """LLM Foundry's 1e9tok are 1e9 / (2048 · 256) steps."""
    path = write_as("foundry.yaml", READ["tokens.yaml"][0])
    assert audit_training_arguments(path).table[0].run.steps == 1907


def test_a_decay_to_write_is_in_the_numbers_of_the_file(write_as):
    """What is advised for Ultralytics is divided by what it multiplies by."""
    text = ULTRALYTICS.format(batch=128).replace("0.0005", "0.05")
    path = write_as("args.yaml", text)
    facts = {"dataset_size": 100_000}
    found = audit_training_arguments(path, given=facts)
    lines = [each.line for each in found.findings if "weight_decay" in each.line]
    assert lines
    for line in lines:
        written = float(line.partition(":")[2].partition("#")[0])
        again = audit_training_arguments(
            write_as("again.yaml", text.replace("0.05", f"{written}")), given=facts
        )
        codes = {each.code for each in found.findings if each.line == line}
        assert codes.isdisjoint(each.code for each in again.findings)


@pytest.mark.parametrize(
    ("text", "dtype"),
    [
        ("torch_dtype: bfloat16\n", "bfloat16"),
        ("dtype: float16\n", "float16"),
        ("pure_bf16: true\n", "bfloat16"),
        ("torch_dtype: auto\nbf16: true\n", "float32"),
    ],
)
def test_the_dtype_of_a_file_is_read(write_as, text, dtype):
    """Files around the Trainer name the dtype of the weights; bf16 alone does not."""
    arguments = "learning_rate: 2.0e-5\nweight_decay: 0.1\nnum_train_epochs: 1\n"
    found = audit_training_arguments(write_as("args.yaml", arguments + text))
    assert found.table[0].run.dtype == dtype
    codes = {each.code for each in found.findings}
    assert ("DW009" in codes) == (dtype != "float32")
    given = audit_training_arguments(
        write_as("args.yaml", arguments + text), given={"dtype": "float32"}
    )
    assert given.table[0].run.dtype == "float32"


def test_float32_is_not_advised_where_it_is(write_as):
    """A decay that float32 itself rounds away is not mended by loading float32."""
    text = "learning_rate: 5.0e-7\nweight_decay: 0.05\nnum_train_epochs: 1\n"
    found = audit_training_arguments(write_as("args.yaml", text))
    (dead,) = (each for each in found.findings if each.code == "DW009")
    assert "float32" not in dead.line
    assert "Keep the weights in float32" not in dead.remedy


SWEEP = "method: bayes\nparameters: {weight_decay: {values: [0.0, 0.1]}}\n"
ZERO = {"train_micro_batch_size_per_gpu": 8, "zero_optimization": {"stage": 3}}
AUTO = ZERO | {"optimizer": {"type": "AdamW", "params": {"lr": "auto"}}}
REFUSED = {
    "sweep.yaml": (SWEEP, "W&B sweep"),
    "zero.json": (ZERO, "DeepSpeed"),
    "auto.json": (AUTO, "DeepSpeed. It must have optimizer.params.lr as a number"),
    "graphstorm.yaml": (
        "gsf: {hyperparam: {lr: 0.005, wd_l2norm: 5e-5}}",
        "GraphStorm",
    ),
    "simpletuner.json": (
        {"--model_type": "lora", "--optimizer": "adamw_bf16"},
        "SimpleTuner",
    ),
    "study.toml": ('[study]\nproblem = "digits-mlp"\n', "dwindle study"),
    "fairseq.yaml": (
        (
            "optimization: {max_update: 100000, lr: [0.0005], update_freq: [4]}\n"
            "optimizer: {_name: adam, weight_decay: 0.01}\n"
        ),
        "fairseq",
    ),
    "noam.yaml": (
        (
            "model: {optim: {name: adamw, lr: 3.0, weight_decay: 1e-3, "
            "sched: {name: NoamAnnealing}}}\n"
        ),
        "NeMo. Its lr is a factor of Noam's schedule",
    ),
    "one-cycle.json": (
        {**DEEPSPEED, "scheduler": {"type": "OneCycle", "params": {}}},
        "DeepSpeed. Its scheduler onecycle sets an lr of its own",
    ),
    "auto-batch.yaml": (
        ULTRALYTICS.format(batch=-1),
        "Ultralytics. The decay is multiplied by batch / nbs",
    ),
    "table.yaml": (
        "optimizer: {kind: adam, weight_decay: 0.01}\ntask: {name: x}\n",
        "hold TrainingArguments",
    ),
    "no-decay.yaml": ("lr0: 0.01\nlrf: 0.1\nbatch: 16\n", "weight_decay as a number"),
    "unknown.yaml": (
        "learning_rate: 0.1\nweight_decay: 0.1\nbatch_size: 8\ntotal_iters: 10\n",
        "TrainingArguments have no batch_size, total_iters",
    ),
    "generic.json": ({"weight_decay": 0.1, "lr": 1e-3}, "have no lr"),
    "steps.json": ({"gradient_accumulation_steps": 4, "train_bs": 3, "wd": 1}, "wd"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_not_read_is_refused_by_name(write_as, capsys, name):
    """No other trainer's default stands in for what a file does not say."""
    content, told = REFUSED[name]
    path = write_as(name, content)
    with pytest.raises(AuditTargetError, match=r"must hold") as caught:
        audit_training_arguments(path)
    assert told in str(caught.value)
    assert ("dwindle explain" in str(caught.value)) == (name != "table.yaml")
    assert main(["audit", path]) == 2
    assert told in " ".join(capsys.readouterr().err.split())


def test_what_bears_on_the_decay_and_is_not_read_is_listed(write_as):
    """Keys of lr, optimizer, length, batch, schedule, dtype and decay are named."""
    extra = "layer_decay: 0.75\nmodel_ema_decay: 0.9\nseed: 1\nval_batch_size: 3\n"
    found = audit_training_arguments(write_as("timm.yaml", TIMM + extra))
    (told,) = (text for text in found.unchecked if text.startswith("Not read"))
    assert told.endswith(": layer_decay, model_ema_decay.")
    many = "".join(f"own_{number}: 1\n" for number in range(9))
    arguments = "weight_decay: 0.1\nnum_train_epochs: 1\nepochs: 3\n" + many
    found = audit_training_arguments(write_as("args.yaml", arguments))
    assert "TrainingArguments have no epochs: not read." in found.unchecked


def test_a_schedule_that_is_not_known_forms_no_sum(write_as):
    """Where the schedule cannot be followed, no share of the run is given."""
    text = DETECTRON.replace("}", ", MAX_ITER: 90000}")
    found = audit_training_arguments(write_as("detectron.yaml", text))
    assert found.table[0].run.steps is None
    assert any("WarmupMultiStepLR is not followed" in told for told in found.unchecked)
    given = {"shape": "cosine"}
    found = audit_training_arguments(write_as("detectron.yaml", text), given=given)
    assert found.table[0].run.steps == 90_000


@pytest.mark.parametrize("name", ["train.sh", "model.cfg", "job.slurm", "nanogpt.py"])
def test_a_text_that_is_no_settings_file_is_told_what_to_type(
    tmp_path, monkeypatch, capsys, name
):
    """A script with flags, or settings in Python, are not read; one types numbers."""
    monkeypatch.chdir(tmp_path)
    is_python = name.endswith(".py")
    text = "lr = 6e-5\n" if is_python else "--lr 6e-5 --weight-decay 0.1\n"
    (tmp_path / name).write_text(text)
    assert main(["audit", name]) == 2
    assert "Type its numbers: dwindle explain" in capsys.readouterr().err


def test_the_page_names_every_trainer():
    """docs/audit.md says whose files are read, and whose are refused."""
    page = Path(__file__).parents[2] / "docs" / "audit.md"
    text = page.read_text(encoding="utf-8")
    assert [each.name for each in TRAINERS if each.name not in text] == []


@pytest.fixture
def write_as(tmp_path):
    """Write a text, or a mapping as JSON, to a file of that name."""

    def _write(name, content):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    return _write

"""Settings files of other trainers: read by their own names, or refused by name."""

import json
import math
from itertools import product
from pathlib import Path

import pytest
from settings_files import (
    AXOLOTL,
    DEEPSPEED,
    DETECTRON,
    DIFFUSERS,
    FOUNDRY,
    HYDRA,
    KERAS,
    KOHYA,
    LIGHTNING,
    LITGPT,
    LITGPT_OLD,
    NEMO,
    TIMM,
    TORCHTUNE,
    ULTRALYTICS,
    WANDB,
)

from dwindle.audit import audit_training_arguments
from dwindle.audit.trainer_names import unknown_keys, unread_keys
from dwindle.audit.trainers import TRAINERS
from dwindle.cli.main import main
from dwindle.errors import AuditTargetError

LN2 = math.log(2)
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


def test_files_are_read_by_their_own_names(write_as):
    """Optimizer, half-life and batch are those of the trainer that reads the file."""
    wrong = {}
    for name, (content, knob, steps, batch) in READ.items():
        found = audit_training_arguments(write_as(name, content))
        (line,) = found.table
        got = (line.knob, line.half_life["steps"], line.run.batch_size)
        # 1e-4: the closed forms LN2 / s leave out s/2, at most 3e-5 here.
        if got != (knob, pytest.approx(steps, rel=1e-4), batch):
            wrong[name] = got
    assert wrong == {}


def test_ultralytics_multiplies_the_decay(write_as):
    """The number of the file is multiplied by batch · accumulated / nbs."""
    for batch, decay, examples in ((128, 1e-3, 128), (16, 5e-4, 64), (48, 3.75e-4, 48)):
        path = write_as("args.yaml", ULTRALYTICS.format(batch=batch))
        (line,) = audit_training_arguments(path).table
        assert line.weight_decay == pytest.approx(decay, rel=1e-12)
        assert line.run.batch_size == examples
        if batch == 128:
            # Stepped with torch.optim.SGD, momentum 0.937, Nesterov, lr 0.01, 1e-3.
            assert line.half_life["steps"] == pytest.approx(4356, abs=1.5)


def test_the_momentum_of_a_file_is_read(write_as):
    """timm's files have the momentum: a step takes lr·decay/(1 - momentum) off.

    Where the file has none, timm's own 0.9 counts.
    """
    settings = {"lr": 0.4, "weight_decay": 2.0e-5, "batch_size": 128, "sched": "cosine"}
    wrong = {}
    for name, (momentum, factor) in product(
        ("sgd", "momentum", "nesterov"), {0.8: 5, 0.9: 10, 0.95: 20, None: 10}.items()
    ):
        given = {} if momentum is None else {"momentum": momentum}
        path = write_as("timm.json", settings | given | {"opt": name})
        steps = audit_training_arguments(path).table[0].half_life["steps"]
        # 1 %: the root of momentum is lr·λ·10 away from the quotient, Nesterov's 1e-5.
        if steps != pytest.approx(LN2 / 8e-6 / factor, rel=1e-2):
            wrong[name, momentum] = steps
    assert wrong == {}


def test_deepspeeds_adam_can_be_coupled(write_as):
    """With adam_w_mode off its Adam is L2, which is no decay of its own."""
    parameters = {"lr": 2e-4, "weight_decay": 0.03, "adam_w_mode": False}
    content = {"train_batch_size": 8, "optimizer": {"type": "Adam"}}
    content["optimizer"]["params"] = parameters
    found = audit_training_arguments(write_as("ds.json", content))
    assert found.table[0].knob == "torch.optim.Adam"
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


def test_the_dtype_of_a_file_is_read(write_as):
    """Files around the Trainer name the dtype of the weights; bf16 alone does not."""
    arguments = "learning_rate: 2.0e-5\nweight_decay: 0.1\nnum_train_epochs: 1\n"
    for text, dtype in {
        "torch_dtype: bfloat16\n": "bfloat16",
        "dtype: float16\n": "float16",
        "pure_bf16: true\n": "bfloat16",
        "torch_dtype: auto\nbf16: true\n": "float32",
    }.items():
        path = write_as("args.yaml", arguments + text)
        found = audit_training_arguments(path)
        assert found.table[0].run.dtype == dtype, text
        codes = {each.code for each in found.findings}
        assert ("DW009" in codes) == (dtype != "float32"), text
        given = audit_training_arguments(path, given={"dtype": "float32"})
        assert given.table[0].run.dtype == "float32", text


def test_float32_is_not_advised_where_it_is(write_as):
    """A decay that float32 itself rounds away is not mended by loading float32."""
    text = "learning_rate: 5.0e-7\nweight_decay: 0.05\nnum_train_epochs: 1\n"
    found = audit_training_arguments(write_as("args.yaml", text))
    (dead,) = (each for each in found.findings if each.code == "DW009")
    assert "float32" not in dead.line
    assert "Keep the weights in float32" not in dead.remedy


def test_what_bears_on_the_decay_and_is_not_read_is_listed():
    """Keys of lr, optimizer, length, batch, schedule, dtype and decay are named."""
    names = ["layer_decay", "model_ema_decay", "seed", "val_batch_size", "lr"]
    (listed,) = unread_keys(names, read={"lr"})
    assert listed.endswith(": layer_decay, model_ema_decay.")
    own = dict.fromkeys((f"own_{number}" for number in range(9)), 1)
    (listed,) = unknown_keys({"weight_decay": 0.1, "epochs": 3} | own)
    assert "epochs" in listed
    assert "own_1" not in listed


def test_a_schedule_that_is_not_known_forms_no_sum(write_as):
    """Where the schedule cannot be followed, no share of the run is given."""
    text = DETECTRON.replace("}", ", MAX_ITER: 90000}")
    found = audit_training_arguments(write_as("detectron.yaml", text))
    assert found.table[0].run.steps is None
    given = {"shape": "cosine"}
    found = audit_training_arguments(write_as("detectron.yaml", text), given=given)
    assert found.table[0].run.steps == 90_000


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


def test_a_length_that_is_given_counts_instead_of_the_files(write_as):
    """A warm-up in steps is a share of the steps that are given, one in epochs too."""
    path = write_as("foundry.yaml", FOUNDRY)
    run = audit_training_arguments(path, given={"steps": 1000}).table[0].run
    assert (run.steps, run.epochs, run.schedule.warmup) == (1000, None, 0.1)
    path = write_as("timm.yaml", TIMM + "epochs: 90\nwarmup_epochs: 9\nmin_lr: 1e-4\n")
    given = {"epochs": 30, "lr": 1e-2, "dataset_size": 25_600}
    run = audit_training_arguments(path, given=given).table[0].run
    assert (run.epochs, run.schedule.warmup) == (30, pytest.approx(0.3))
    assert run.schedule.final == pytest.approx(0.01)


def test_numbers_that_are_none_are_refused_or_not_known(write_as):
    """inf for the lr is an error that names the key; for a batch it is no batch."""
    with pytest.raises(AuditTargetError) as caught:
        audit_training_arguments(write_as("t.yaml", TIMM.replace("0.001", ".inf")))
    assert "lr" in caught.value.got
    path = write_as("t.yaml", TIMM.replace("batch_size: 256", "batch_size: .inf"))
    assert audit_training_arguments(path).table[0].run.batch_size is None


def test_the_page_names_every_trainer():
    """docs/audit.md says whose files are read, and whose are refused."""
    page = Path(__file__).parents[2] / "docs" / "audit.md"
    text = page.read_text(encoding="utf-8")
    named = [each.name for each in TRAINERS if each.marks]
    assert [name for name in named if name not in text] == []


@pytest.fixture
def write_as(tmp_path):
    """Write a text, or a mapping as JSON, to a file of that name."""

    def _write(name, content):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    return _write

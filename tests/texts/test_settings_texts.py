"""Settings files: every text of a refusal and of a header; --snapshot-update rewrites.

A refused file is an error with its own attributes, never a crash or a guess.
"""

import json
from pathlib import Path

import pytest

from dwindle.audit import audit_training_arguments
from dwindle.errors import AuditTargetError, RangeError, UnknownNameError

HERE = Path(__file__).parents[1] / "settings"
DEEPSPEED, FOUNDRY, HYDRA, LITGPT, NEMO, ULTRALYTICS = (
    (HERE / name).read_text(encoding="utf-8")
    for name in (
        *("deepspeed.json", "llm-foundry.yaml", "hydra.yaml"),
        *("litgpt.yaml", "nemo.yaml", "ultralytics.yaml"),
    )
)
ZERO = {"train_micro_batch_size_per_gpu": 8, "zero_optimization": {"stage": 3}}
FAIRSEQ = """\
optimization: {max_update: 100000, lr: [0.0005], update_freq: [4]}
optimizer: {_name: adam, weight_decay: 0.01}
"""
NOAM = {"name": "adamw", "lr": 3.0, "weight_decay": 1e-3}
SCALED = {"learning_rate": 1e-5, "adam_weight_decay": 0.01, "scale_lr": True}
# Files of trainers that are not read; no other trainer's default stands in.
OF_OTHERS = {
    "sweep.yaml": "method: bayes\nparameters: {weight_decay: {values: [0, 1]}}\n",
    "zero.json": ZERO,
    "auto.json": ZERO | {"optimizer": {"type": "AdamW", "params": {"lr": "auto"}}},
    "graphstorm.yaml": "gsf: {hyperparam: {lr: 0.005, wd_l2norm: 5e-5}}",
    "simpletuner.json": {"--model_type": "lora", "--optimizer": "adamw_bf16"},
    "study.toml": '[study]\nproblem = "digits-mlp"\n',
    "fairseq.yaml": FAIRSEQ,
    "noam.json": {"model": {"optim": NOAM | {"sched": {"name": "NoamAnnealing"}}}},
    "one-cycle.json": DEEPSPEED.replace("WarmupDecayLR", "OneCycle"),
    "auto-batch.yaml": ULTRALYTICS.replace("batch: 128", "batch: -1"),
    "table.yaml": "optimizer: {kind: adam, weight_decay: 0.01}\ntask: {name: x}\n",
    "no-decay.yaml": "lr0: 0.01\nlrf: 0.1\nbatch: 16\n",
    "decay-is-a-word.yaml": HYDRA.replace("0.05", "auto"),
    "infinite-lr.yaml": HYDRA.replace("0.001", ".inf"),
    "scaled-by-unknown.json": SCALED,
    "unknown.yaml": "learning_rate: 1\nweight_decay: 1\nbatch_size: 8\niters: 10\n",
    "generic.json": {"weight_decay": 0.1, "lr": 1e-3},
    "steps.json": {"gradient_accumulation_steps": 4, "train_bs": 3, "wd": 1},
}
# Files that are broken, or hold nothing that could be audited.
BROKEN = {
    "key-twice.json": '{"lr": 1, "lr": 2}',
    "key-twice-inside.json": '{"x": {"y": 1, "y": 2}}',
    "key-twice.yaml": "lr: 1\nlr: 2",
    "key-twice-as-text.yaml": "1: 1\n'1': 2",
    "list.json": "[1]",
    "no-json.json": "{",
    "long-number.json": '{"a": ' + "1" * 10_000 + "}",
    "large.json": " " * 300_000,
    "no-yaml.yml": "a: [",
    "two-documents.yaml": "a: 1\n---\nb: 2",
    "nothing.yaml": "",
    "code.yaml": "!!python/object/apply:os.system ['exit 1']",
    "odd-key.yaml": "? [1]\n: 2",
    "no-date.yaml": "a: 2021-99-99",
    "no-text.json": b"\xff\xfe\x00",
    "model.json": {"model": "x"},
    "empty.json": {},
    "two.json": {"a": {"weight_decay": 1}, "b": {"weight_decay": 2}},
}
# TrainingArguments have types.
OF_A_WRONG_TYPE = {
    "switch.json": {"weight_decay": True},
    "list-of-one.json": {"weight_decay": [0.1]},
    "word.json": {"weight_decay": "much"},
    "nan.json": {"weight_decay": float("nan")},
    "inf-as-text.json": {"weight_decay": "inf"},
    "too-large.json": {"weight_decay": 10**400},
    "no-whole-number.yaml": "max_steps: 1.5\n",
    "number.json": {"optim": 3},
    "table.json": {"optim": None, "lr_scheduler_type": {}},
}
# Values that the Trainer, or a run, cannot have.
IMPOSSIBLE = {
    "optim.json": ({"optim": "adamw_troch"}, UnknownNameError),
    "schedule.json": ({"optim": "sgd", "lr_scheduler_type": "co"}, UnknownNameError),
    "lr-0.json": ({"learning_rate": 0}, RangeError),
    "batch-0.json": ({"per_device_train_batch_size": 0}, RangeError),
    "momentum.json": ({"optim": "sgd", "optim_args": "momentum=x"}, RangeError),
}
# The header of an audit, and what it could not check.
READ = {
    "defaults.json": ({"warmup_steps": 0}, {}, 1),
    "given.json": (
        {"warmup_steps": 0},
        {"lr": 1e-3, "batch_size": 64, "epochs": 2, "shape": "cosine"},
        1,
    ),
    "devices.json": ({"warmup_steps": 0}, {}, 4),
    "restarts.json": ({"lr_scheduler_type": "inverse_sqrt", "max_steps": 9}, {}, 1),
    "ultralytics.yaml": (
        ULTRALYTICS.replace("batch: 128", "batch: 16"),
        {"dataset_size": 9999},
        1,
    ),
    "foundry.yaml": (FOUNDRY, {}, 1),
    "nemo.yaml": (NEMO, {"dtype": "bfloat16"}, 1),
    "litgpt.yaml": (LITGPT, {}, 1),
    "deepspeed.json": (DEEPSPEED, {}, 1),
    "hydra.yaml": (HYDRA + "clip_decay: 1\n", {}, 1),
    "not-read.json": (
        {
            "weight_decay": 0.1,
            "deepspeed": "ds.json",
            "auto_find_batch_size": True,
            "optim": "stable_adamw",
            "optim_args": "kahan_sum=true",
        },
        {},
        1,
    ),
    "unused.json": ({"optim": "lomo", "weight_decay": 1, "max_steps": 9}, {}, 1),
    "overridden.json": ({"optim": "sgd", "optim_args": "weight_decay=0.1"}, {}, 1),
}


@pytest.fixture
def audited(tmp_path, monkeypatch):
    """Write a text, or a mapping as JSON, to a file of that name, and audit it."""
    monkeypatch.chdir(tmp_path)

    def _audited(name, content, given=None, devices=1):
        if not isinstance(content, str | bytes):
            content = json.dumps(content)
        content = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(content)
        return audit_training_arguments(name, given=given, world_size=devices)

    return _audited


@pytest.mark.parametrize("files", [OF_OTHERS, BROKEN, OF_A_WRONG_TYPE])
def test_refused_files(files, audited, snapshot):
    """Each is refused as a target of an audit, by name, with a way out."""
    texts = {}
    for name, content in files.items():
        with pytest.raises(AuditTargetError) as caught:
            audited(name, content)
        assert caught.value.target == name
        texts[name] = str(caught.value)
    assert texts == snapshot


def test_impossible_values(audited, snapshot):
    """What no run can have is refused with the name of the fact."""
    texts = {}
    for name, (content, error) in IMPOSSIBLE.items():
        with pytest.raises(error) as caught:
            audited(name, content)
        texts[name] = str(caught.value)
    assert texts == snapshot


def test_headers(audited, snapshot):
    """What was understood, what is a default, and what is not known."""
    texts = {}
    for name, (content, given, devices) in READ.items():
        found = audited(name, content, given, devices)
        remarks = [each.evidence for each in found.findings if each.code == "DW027"]
        texts[name] = [dict(found.facts), list(map(str, found.unchecked)), remarks]
    assert texts == snapshot


def test_a_path_that_cannot_be_read(tmp_path, monkeypatch):
    """An absent file, an impossible name and a folder are refused."""
    monkeypatch.chdir(tmp_path)
    for path in ("absent.json", "zero\0.json", "."):
        with pytest.raises(AuditTargetError) as caught:
            audit_training_arguments(path)
        assert caught.value.must == "be a readable file"


def aliases(each):
    """Eleven lines, each nine times the line above it."""
    line = "a{0}: &a{0} " + each
    return "a0: &a0 {k: 1}\n" + "".join(line.format(i, i - 1) for i in range(1, 12))


MERGED = "{{<<: [" + ", ".join(["*a{1}"] * 9) + "]}}\n"
NESTED = "{{" + ", ".join(f"k{n}: *a{{1}}" for n in range(9)) + "}}\n"
# What would take no end of memory, or of Python's stack: the errors.
ENDLESS = {
    "merged.yaml": (aliases(MERGED), "10,000 names"),  # 9¹¹ of them
    "nested.yaml": (aliases(NESTED), "10,000 names"),
    "a.json": ("[" * 100_000, "a mistake in it"),
    "a.yaml": ("[" * 1200, "a mistake in it"),
    "itself.yaml": ("a: &a {b: *a}", "a mistake in it"),
}


def test_endless_files_are_refused(audited):
    """Aliases that multiply and brackets without an end are errors of ours."""
    for name, (content, got) in ENDLESS.items():
        with pytest.raises(AuditTargetError) as caught:
            audited(name, content)
        assert got in caught.value.got

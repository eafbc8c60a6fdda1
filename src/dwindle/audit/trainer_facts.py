"""What was understood of a file of TrainingArguments, in words: read, or a default."""

from collections.abc import Mapping
from typing import Any

from dwindle.audit.file_values import FileValues
from dwindle.decay.run import Run

# Defaults of transformers 5.23.0.
OPTIM, SCHEDULE = "adamw_torch_fused", "linear"
LR, BATCH, EPOCHS = 5e-5, 8, 3.0

_DEFAULT = "default"


def facts_in_words(
    values: FileValues, run: Run, given: Mapping[str, Any], world_size: int
) -> dict[str, str]:
    """Return the facts of a run by name; what nobody wrote is marked as a default.

    Args:
        values: The file.
        run: What file and command line tell of the run.
        given: Facts that hold instead of the file's.
        world_size: Devices that train together.

    """
    told = {
        "lr": _marked(f"{run.lr:g}", values.has("learning_rate") or "lr" in given),
        "batch": _batch(values, run, given, world_size),
        **_length(values, run, given),
    }
    if run.dataset_size:
        told["examples"] = f"{run.dataset_size:,}"
    told["schedule"] = _schedule(values, run, given)
    if run.schedule.warmup:
        told["warm-up"] = f"{100 * run.schedule.warmup:.3g}%"
    return told


def _marked(text: str, is_told: bool) -> str:  # noqa: FBT001 a word beside its text
    return text if is_told else f"{text} ({_DEFAULT})"


def _batch(
    values: FileValues, run: Run, given: Mapping[str, Any], world_size: int
) -> str:
    if "batch_size" in given:
        return str(run.batch_size)
    is_told = values.has("per_device_train_batch_size")
    counts = {
        "per device" if is_told else f"per device, {_DEFAULT}": values.whole(
            "per_device_train_batch_size", BATCH
        ),
        "accumulated": values.whole("gradient_accumulation_steps", 1),
        "devices": world_size,
    }
    if values.whole("gradient_accumulation_steps", 1) == world_size == 1:
        return _marked(str(run.batch_size), is_told)
    told = " × ".join(f"{count} {word}" for word, count in counts.items() if count > 1)
    return f"{run.batch_size} ({told})"


def _length(values: FileValues, run: Run, given: Mapping[str, Any]) -> dict[str, str]:
    if run.epochs:
        is_told = values.has("num_train_epochs") or "epochs" in given
        return {"epochs": _marked(f"{run.epochs:g}", is_told)}
    return {"steps": f"{run.steps:,}"} if run.steps else {}


def _schedule(values: FileValues, run: Run, given: Mapping[str, Any]) -> str:
    name, shape = values.text("lr_scheduler_type", SCHEDULE), run.schedule.shape
    told = _marked(name, values.has("lr_scheduler_type") or "shape" in given)
    return told if name == shape else f"{told} (as {shape})"

"""Names of TrainingArguments: which keys of a file are read, known, or misspelt."""

import json
import math
import re
from collections.abc import Container, Iterable, Iterator

from dwindle.audit.file_values import line_for, text_line_for
from dwindle.audit.findings import Finding
from dwindle.audit.settings_file import Settings
from dwindle.errors.nearest import nearest_names, typing_mistakes

# The names that bear on a decay.
READ = (
    "learning_rate",
    "weight_decay",
    "optim",
    "optim_args",
    "lr_scheduler_type",
    "lr_scheduler_kwargs",
    "num_train_epochs",
    "max_steps",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "warmup_steps",
    "warmup_ratio",
    "adam_beta1",
    "adam_beta2",
    "auto_find_batch_size",
    "deepspeed",
)
# The others of transformers 5.23.0, then those of older versions that files still have.
_OTHERS = """
    accelerator_config activation_checkpointing activation_checkpointing_kwargs
    adam_epsilon average_tokens_across_devices batch_eval_metrics bf16 bf16_full_eval
    data_seed dataloader_drop_last dataloader_in_order
    dataloader_multiprocessing_context dataloader_num_workers
    dataloader_persistent_workers dataloader_pin_memory dataloader_prefetch_factor
    ddp_backend ddp_broadcast_buffers ddp_bucket_cap_mb ddp_find_unused_parameters
    ddp_static_graph ddp_timeout debug disable_tqdm do_eval do_predict do_train
    enable_jit_checkpoint eval_accumulation_steps eval_delay eval_do_concat_batches
    eval_on_start eval_steps eval_strategy eval_use_gather_object fp16 fp16_full_eval
    fsdp fsdp_config full_determinism gradient_checkpointing
    gradient_checkpointing_kwargs greater_is_better hub_always_push hub_model_id
    hub_private_repo hub_revision hub_strategy hub_token ignore_data_skip
    include_for_metrics include_num_input_tokens_seen label_names
    label_smoothing_factor length_column_name liger_kernel_config
    load_best_model_at_end local_rank log_level log_level_replica log_on_each_node
    logging_first_step logging_nan_inf_filter logging_steps logging_strategy
    max_grad_norm metric_for_best_model neftune_noise_alpha optim_target_modules
    output_dir parallelism_config per_device_eval_batch_size prediction_loss_only
    project push_to_hub remove_unused_columns report_to
    restore_callback_states_from_checkpoint resume_from_checkpoint run_name
    save_on_each_node save_only_model save_steps save_strategy save_total_limit seed
    skip_memory_metrics tf32 torch_compile torch_compile_backend torch_compile_mode
    torch_empty_cache_steps trackio_bucket_id trackio_space_id
    trackio_static_space_id train_sampling_strategy use_cache use_cpu
    use_liger_kernel

    evaluation_strategy fp16_backend fp16_opt_level fsdp_min_num_params
    fsdp_transformer_layer_cls_to_wrap group_by_length half_precision_backend
    include_inputs_for_metrics include_tokens_per_second jit_mode_eval logging_dir
    mp_parameters no_cuda overwrite_output_dir past_index per_gpu_eval_batch_size
    per_gpu_train_batch_size push_to_hub_model_id push_to_hub_organization
    push_to_hub_token ray_scope save_safetensors torchdynamo tpu_metrics_debug
    tpu_num_cores use_ipex use_mps_device _n_gpu
"""
NAMES = frozenset(READ) | frozenset(_OTHERS.split())

# Not the Trainer's, but in files of those who build on it: the dtype of the weights.
DTYPE_KEYS = ("torch_dtype", "dtype", "model_dtype", "pure_bf16")

# One mistake in a short name makes another word of it; long names bear two.
_SHORT, _MOST_MISTAKES = 8, 2
_FEW = 5


def meant_by(name: str) -> str | None:
    """Return the name that a key was meant to be, where it is one that bears on decay.

    Example:
        >>> meant_by("weight_decya"), meant_by("learningRate"), meant_by("model_name")
        ('weight_decay', 'learning_rate', None)

    """
    if name in NAMES:
        return None
    near = nearest_names(name, NAMES, limit=1)[0:1]
    for known in near:
        most = 1 if len(known) <= _SHORT else _MOST_MISTAKES
        if known in READ and typing_mistakes(name.casefold(), known) <= most:
            return known
    return None


def misspelt_keys(path: str, settings: Settings) -> tuple[Finding, ...]:
    """Return a finding for each key that is nearly one that bears on decay.

    Args:
        path: The file.
        settings: What it holds.

    Example:
        >>> (found,) = misspelt_keys("args.json", {"learning_rte": 3e-4})
        >>> found.line
        '"learning_rate": 0.0003'

    """
    return tuple(_misspelt(path, settings))


def _misspelt(path: str, settings: Settings) -> Iterator[Finding]:
    for name, value in settings.items():
        meant = meant_by(name)
        if meant is None:
            continue
        told = f"TrainingArguments have no {name}, so it was not read."
        instead = f"{meant} is in the file as well, and is what counts."
        if settings.get(meant) is None:
            instead = f"{meant} is not in the file: its default counts."
        yield Finding(
            code="DW028",
            where=f"{path}: {name}",
            evidence=f"{told} {instead}",
            remedy=f"If {meant} was meant, write:",
            line=_line(path, meant, value),
        )


def _line(path: str, key: str, value: object) -> str:
    if isinstance(value, str):
        return text_line_for(path, key, value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and math.isfinite(value):  # type: ignore[arg-type]  # is a number
        return line_for(path, key, value)  # type: ignore[arg-type]  # is a number
    text = json.dumps(value, default=str)  # which is YAML, too
    return f'"{key}": {text}' if path.casefold().endswith(".json") else f"{key}: {text}"


_PARTS = "lr|learning_rate|optim|optimizer|epochs?|batch|sched|scheduler|warmup"
_MORE = "dtype|precision|bf16|fp16|decay|wd|momentum|betas|steps|iters"
_BEARING = re.compile(
    rf"(?:^|[_.-])(?:{_PARTS}|{_MORE})(?:$|[_.-])|lr\d$", re.IGNORECASE
)
_ELSEWHERE = re.compile(
    r"(?:^|[_.-])(?:eval|val|valid|test|log|logging|save|generation)"
)

_NEUTRAL = {"eps", "epsilon", "fused", "foreach", "_partial_", "_convert_", "name"}


def bears_on_decay(name: str) -> bool:
    """Tell whether a key speaks of lr, optimizer, length, batch, dtype or decay.

    Example:
        >>> bears_on_decay("adam_weight_decay"), bears_on_decay("eval_batch_size")
        (True, False)

    """
    if name.rpartition(".")[2] in _NEUTRAL or _ELSEWHERE.search(name):
        return False
    return bool(_BEARING.search(name))


def unread_keys(names: Iterable[str], read: Container[str] = ()) -> list[str]:
    """Return a sentence on the keys that bear on a decay and were not read.

    Example:
        >>> unread_keys(["lr", "layer_decay", "seed"], read={"lr"})
        ['Not read, though it may bear on the decay: layer_decay.']

    """
    found = [name for name in names if name not in read and bears_on_decay(name)]
    if not found:
        return []
    it = "it" if len(found) == 1 else "they"
    return [f"Not read, though {it} may bear on the decay: {', '.join(found)}."]


def foreign_keys(settings: Settings) -> list[str]:
    """Return the keys that bear on a decay and that TrainingArguments do not have."""
    return [
        name
        for name in settings
        if name not in NAMES and bears_on_decay(name) and not meant_by(name)
    ]


def unknown_keys(settings: Settings) -> list[str]:
    """Return a sentence on keys that the Trainer does not know; none where many.

    Example:
        >>> unknown_keys({"weight_decay": 0.1, "model_name": "x"})
        ['TrainingArguments have no model_name: not read.']

    """
    bearing = set(foreign_keys(settings))
    others = [
        name
        for name in settings
        if name not in NAMES and name not in DTYPE_KEYS and not meant_by(name)
    ]
    names = others if len(others) <= _FEW else [at for at in others if at in bearing]
    if not names:
        return []
    return [f"TrainingArguments have no {', '.join(names)}: not read."]

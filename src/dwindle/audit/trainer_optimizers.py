"""Which knob the Trainer's ``optim`` means, and whose weight_decay it never uses."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from dwindle.errors import UnknownNameError


@dataclass(frozen=True)
class TrainerOptimizer:
    """What a name of ``optim`` stands for.

    Args:
        knob: Knob that reads ``weight_decay``; None where none is known.
        uses_decay: Whether the Trainer hands ``weight_decay`` on at all.

    """

    knob: str | None
    uses_decay: bool = True


_ADAMW = TrainerOptimizer("torch.optim.AdamW")
_ADAMW_8BIT = TrainerOptimizer("bitsandbytes.optim.AdamW")
_ADEMAMIX = TrainerOptimizer("bitsandbytes.optim.AdEMAMix")
_LION = TrainerOptimizer("bitsandbytes.optim.Lion")
_RMSPROP_8BIT = TrainerOptimizer("bitsandbytes.optim.RMSprop")
_FREE_ADAMW = TrainerOptimizer("schedulefree.AdamWScheduleFree")
# The Trainer builds the groups of these from scratch, and leaves weight_decay out.
_UNUSED = TrainerOptimizer(None, uses_decay=False)

TRAINER_OPTIMIZERS: Mapping[str, TrainerOptimizer] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "adamw_torch",
                "adamw_torch_fused",
                "adamw_torch_xla",
                "adamw_torch_npu_fused",
                "adamw_torch_4bit",
                "adamw_torch_8bit",
                "adamw_anyprecision",
                "adamw_apex_fused",
                "adamw_hf",
            ),
            _ADAMW,
        ),
        **dict.fromkeys(
            (
                "adamw_bnb_8bit",
                "adamw_8bit",
                "paged_adamw_32bit",
                "paged_adamw_8bit",
            ),
            _ADAMW_8BIT,
        ),
        **dict.fromkeys(
            (
                "ademamix",
                "ademamix_8bit",
                "paged_ademamix_32bit",
                "paged_ademamix_8bit",
            ),
            _ADEMAMIX,
        ),
        **dict.fromkeys(
            ("lion_32bit", "lion_8bit", "paged_lion_32bit", "paged_lion_8bit"), _LION
        ),
        **dict.fromkeys(
            ("rmsprop_bnb", "rmsprop_bnb_8bit", "rmsprop_bnb_32bit"), _RMSPROP_8BIT
        ),
        # Both are w − lr·weight_decay·w; the Trainer turns relative steps off.
        "adafactor": TrainerOptimizer("torch.optim.Adafactor"),
        "sgd": TrainerOptimizer("torch.optim.SGD"),
        "adagrad": TrainerOptimizer("torch.optim.Adagrad"),
        "rmsprop": TrainerOptimizer("torch.optim.RMSprop"),
        "stable_adamw": TrainerOptimizer("optimi.StableAdamW"),
        "schedule_free_adamw": _FREE_ADAMW,
        "schedule_free_radam": _FREE_ADAMW,
        "schedule_free_sgd": TrainerOptimizer("schedulefree.SGDScheduleFree"),
        **dict.fromkeys(
            (
                "galore_adamw",
                "galore_adamw_8bit",
                "galore_adafactor",
                "galore_adamw_layerwise",
                "galore_adamw_8bit_layerwise",
                "galore_adafactor_layerwise",
                "apollo_adamw",
                "apollo_adamw_layerwise",
                "lomo",
                "adalomo",
            ),
            _UNUSED,
        ),
        "grokadamw": TrainerOptimizer(None),
    }
)


def trainer_optimizer(name: str) -> TrainerOptimizer:
    """Find what a name of ``optim`` stands for.

    Raises:
        UnknownNameError: If the Trainer has no such name; the nearest are offered.

    Example:
        >>> trainer_optimizer("adamw_bnb_8bit").knob
        'bitsandbytes.optim.AdamW'

    """
    known = TRAINER_OPTIMIZERS.get(name)
    if known is None:
        raise UnknownNameError.among("optim", name, TRAINER_OPTIMIZERS)
    return known

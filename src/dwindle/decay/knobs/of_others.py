"""The knobs of libraries that were read and not run: older ones, and those for GPUs."""

from dwindle.decay.knob import Knob

_COEFFICIENT = "coefficient of half the sum of squares"
_PER_LR = "shrink per step / lr"
_ALL_TENSORS = "nothing: biases and norms decay too"
_LR_INSIDE = (
    "the lr is inside of the momentum, so one that changes acts later than in torch"
)


def _coupled_sgd(
    name: str, default: float, read_in: tuple[str, str], symbol: str, **more: str
) -> Knob:
    """Build the record of an SGD that adds its decay to the gradient."""
    note, skips = more.get("note", ""), more.get("skips", _ALL_TENSORS)
    return Knob(
        name=name,
        symbol=symbol,
        formula=f"gradient + {symbol}·w, before the momentum",
        unit=_COEFFICIENT,
        family="coupled-sgd",
        penalty="canonical",
        default=default,
        skips=skips,
        version=read_in[0],
        source=read_in[1],
        note=note,
        aliases=tuple(more.get("aliases", "").split()),
    )


def _decoupled(
    name: str, default: float, read_in: tuple[str, str], symbol: str, **more: str
) -> Knob:
    """Build the record of an optimizer that takes lr·x off a weight."""
    return Knob(
        name=name,
        symbol=symbol,
        formula=f"w ← w − lr·{symbol}·w",
        unit=_PER_LR,
        family="decoupled",
        default=default,
        skips=more.get("skips", _ALL_TENSORS),
        version=read_in[0],
        source=read_in[1],
        note=more.get("note", ""),
        aliases=tuple(more.get("aliases", "").split()),
    )


_THINC = ("thinc 8", "thinc/optimizers.py")
_L2_IS_DECAY = "L2_is_weight_decay=True, the default; spaCy evaluates an average"

OTHER_KNOBS = (
    _decoupled(
        "apex.optimizers.FusedAdam",
        0.0,
        ("apex 004da4e", "apex/optimizers/fused_adam.py"),
        "weight_decay",
        note="an AdamW by default (adam_w_mode=True), unlike torch.optim.Adam",
    ),
    _coupled_sgd(
        "apex.optimizers.FusedSGD",
        0.0,
        ("apex 00dbe4b", "apex/optimizers/fused_sgd.py"),
        "weight_decay",
        note="with wd_after_momentum=False, the default",
    ),
    _decoupled(
        "deepspeed.ops.adam.FusedAdam",
        0.0,
        ("deepspeed 0.19.8", "deepspeed/ops/adam/fused_adam.py, runtime/engine.py"),
        "weight_decay",
        note="also what the type Adam of a configuration means, unless it has "
        "adam_w_mode false",
        aliases="deepspeed.ops.adam.DeepSpeedCPUAdam deepspeed.Adam deepspeed.AdamW",
    ),
    _decoupled(
        "megatron.core.optimizer.OptimizerConfig",
        0.01,
        ("megatron-core 0.16.1", "megatron/core/optimizer_param_scheduler.py"),
        "weight_decay",
        skips="biases and every weight with one dimension",
        note="with Adam and decoupled_weight_decay=True, the default; "
        "start_weight_decay and end_weight_decay move the number over the run",
        aliases="megatron.AdamW",
    ),
    _decoupled(
        "paddle.optimizer.AdamW",
        0.01,
        ("paddle 3", "python/paddle/optimizer/adamw.py, phi/kernels/funcs"),
        "weight_decay",
        skips="nothing, unless apply_decay_param_fun says so",
        note="a group's learning_rate is a multiple of the optimizer's",
    ),
    Knob(
        name="paddle.regularizer.L2Decay",
        symbol="coeff",
        formula="mean loss + coeff/2·Σw²",
        unit=_COEFFICIENT,
        penalty="canonical",
        default=0.0,
        skips="everything that it is not given to",
        version="paddle 3",
        source="python/paddle/regularizer.py",
        note="that of a parameter goes before that of the optimizer",
    ),
    _coupled_sgd(
        "mxnet.optimizer.SGD",
        0.0,
        ("mxnet 2", "python/mxnet/optimizer/sgd.py"),
        "wd",
        note=_LR_INSIDE,
        skips="weights whose wd_mult is 0",
    ),
    _coupled_sgd(
        "caffe.SolverParameter",
        0.0,
        ("caffe 1.0", "src/caffe/solvers/sgd_solver.cpp"),
        "weight_decay",
        note=f"type SGD and L2; times the layer's decay_mult; {_LR_INSIDE}",
        skips="weights whose decay_mult is 0",
        aliases="caffe.SGD",
    ),
    _decoupled(
        "thinc.optimizers.Adam",
        0.0,
        _THINC,
        "L2",
        note=_L2_IS_DECAY,
        aliases="spacy.Adam",
    ),
    _decoupled(
        "thinc.optimizers.SGD",
        0.0,
        _THINC,
        "L2",
        note=_L2_IS_DECAY,
        aliases="spacy.SGD",
    ),
)

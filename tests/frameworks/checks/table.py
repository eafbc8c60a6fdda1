"""All checks, and the knobs that have none."""

from collections.abc import Mapping

from frameworks.checks import (
    of_keras,
    of_optax,
    of_pairs,
    of_papers,
    of_sklearn,
    of_timm,
    of_torch,
    of_torch_libraries,
    of_trainers,
)

from dwindle.decay.knobs import KNOBS

CHECKS = (
    *of_torch.CHECKS,
    *of_keras.CHECKS,
    *of_optax.CHECKS,
    *of_pairs.CHECKS,
    *of_papers.CHECKS,
    *of_sklearn.CHECKS,
    *of_timm.CHECKS,
    *of_torch_libraries.CHECKS,
    *of_trainers.CHECKS,
)

# Libraries whose version was read and that are not installed here.
_READ_ONLY = frozenset(
    (
        *("apex", "deepspeed", "megatron", "paddle", "mxnet", "caffe", "thinc"),
        "ultralytics",
    )
)
NOT_INSTALLED = _READ_ONLY | {"tf", "tfa"}
_NO_BUILD = "TensorFlow and its addons are not installed with the other frameworks"
_OLD = "the last release needs a TensorFlow of 2023"
UNVERIFIED: Mapping[str, str] = {
    "half-life": "it has no clock, and so no number; those with a clock are checked",
    "tf.nn.l2_loss": _NO_BUILD,
    "tfa.optimizers.AdamW": _OLD,
    "tfa.optimizers.SGDW": _OLD,
    **dict.fromkeys(
        (knob.name for knob in KNOBS.values() if knob.library in _READ_ONLY),
        "not in the environment of these tests",
    ),
}

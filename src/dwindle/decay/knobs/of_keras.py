"""The knobs of Keras 3 and TensorFlow: optimizers decay decoupled, penalties do not."""

from dwindle.decay.knob import Knob

_KERAS = "keras 3.15.1"
_BASE = "keras/src/optimizers/base_optimizer.py"
_SKIPS = "nothing, unless exclude_from_weight_decay says so"
# Keras adds epsilon before it corrects the bias, as "epsilon hat" of the paper.
_UPDATES = {
    "Adam": "adam:epsilon-hat",
    "AdamW": "adam:epsilon-hat",
    "Adamax": "adamax",
    "Lion": "lion",
}


def _optimizer(
    name: str, default: float = 0.0, equilibrium: str | None = None, note: str = ""
) -> Knob:
    """Build the record of a Keras optimizer: the base class decays for all of them."""
    return Knob(
        name=f"keras.optimizers.{name}",
        formula="w ← w − lr·weight_decay·w, before the step",
        unit="shrink per step / lr",
        family="decoupled",
        equilibrium=equilibrium,
        update=_UPDATES.get(name, f"keras-{name.lower()}"),
        default=default,
        skips=_SKIPS,
        skips_nothing=True,
        version=_KERAS,
        source=_BASE,
        note=note or "decoupled in every Keras optimizer, whatever its name",
        aliases=(f"tf.keras.optimizers.{name}",),
    )


def _tfa(name: str, note: str = "") -> Knob:
    """Build the record of an optimizer of TensorFlow Addons: its decay knows no lr."""
    same = "the same number every step, unless one schedules weight_decay by hand"
    return Knob(
        name=f"tfa.optimizers.{name}",
        formula="w ← w − weight_decay·w: neither lr nor its schedule is in it",
        unit="shrink per step",
        family="constant",
        skips="nothing, unless decay_var_list says so",
        skips_nothing=True,
        version="tensorflow-addons 0.23.0",
        source="tensorflow_addons/optimizers/weight_decay_optimizers.py",
        note=f"{same}; {note}" if note else same,
        aliases=(f"tensorflow_addons.optimizers.{name}",),
    )


KERAS_KNOBS = (
    Knob(
        name="keras.regularizers.L2",
        symbol="l2",
        formula="mean loss + l2·Σw²: no factor 1/2",
        unit="coefficient of the sum of squares",
        penalty="without-half",
        default=0.01,
        skips="everything that it is not attached to",
        version=_KERAS,
        source="keras/src/regularizers/regularizers.py",
        note="part of the loss, whatever the optimizer; the optimizers' own "
        "weight_decay is another thing",
        aliases=("keras.regularizers.l2", "tf.keras.regularizers.L2"),
    ),
    _optimizer(
        "SGD", note="decoupled, unlike torch.optim.SGD: momentum does not multiply it"
    ),
    _optimizer(
        "Adam",
        equilibrium="adamw",
        note="decoupled: with a decay it is an AdamW; the decay= of Keras before 2.11 "
        "lowered the lr, and was no weight decay",
    ),
    _optimizer("AdamW", 0.004, "adamw"),
    _optimizer("Adamax"),
    _optimizer("Nadam"),
    _optimizer("RMSprop"),
    _optimizer("Adagrad"),
    _optimizer("Adadelta"),
    _optimizer("Adafactor"),
    _optimizer("Lion", equilibrium="lion"),
    _optimizer("Lamb", note="decoupled, outside of the trust ratio"),
    _optimizer("Muon", 0.004, note="the weights that Muon itself trains"),
    Knob(
        name="keras.optimizers.Muon:adam",
        symbol="adam_weight_decay",
        formula="w ← w − lr·adam_weight_decay·w, for the weights that Adam trains",
        unit="shrink per step / lr",
        family="decoupled",
        default=0.004,
        skips=_SKIPS,
        skips_nothing=True,
        version=_KERAS,
        source="keras/src/optimizers/muon.py",
        note="vectors and embeddings; matrices have the other knob",
    ),
    Knob(
        name="keras.optimizers.Ftrl",
        formula="w ← w − lr·weight_decay·w, and then w is computed anew",
        unit="no rate",
        family="rebuilt-weights",
        default=0.0,
        skips=_SKIPS,
        skips_nothing=True,
        version=_KERAS,
        source="keras/src/optimizers/ftrl.py",
        note="the decay is overwritten by the same step",
    ),
    Knob(
        name="keras.optimizers.ScheduleFreeAdamW",
        formula="decay at the point between iterate and average",
        unit="no rate",
        family="schedule-free",
        default=0.0,
        skips=_SKIPS,
        skips_nothing=True,
        version=_KERAS,
        source="keras/src/optimizers/schedule_free_adamw.py",
    ),
    Knob(
        name="tf.nn.l2_loss",
        symbol="coefficient",
        formula="mean loss + coefficient·Σw²/2: with the factor 1/2",
        unit="coefficient of half the sum of squares",
        penalty="canonical",
        skips="everything that it is not called for",
        source="tensorflow/core/kernels/l2loss_op.cc",
        note="half of what keras.regularizers.L2 makes of the same number",
    ),
    _tfa("AdamW"),
    _tfa("SGDW", "momentum does not multiply the decay"),
)

"""What explanations, conversions and refusals say, word by word.

``--snapshot-update`` writes the texts anew; read them before they are kept.
"""

import pytest
from decay.traps import PAIRS, REFUSED, TRAPS, run_of
from syrupy.assertion import SnapshotAssertion

from dwindle.decay.convert import convert
from dwindle.decay.explain import explain
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import DwindleError

LINES = [
    *("torch.optim.AdamW", "torch.optim.SGD", "torch.optim.Adam", "torch.optim.ASGD"),
    *("torch.optim.ASGD:lambd", "optimi.AdamW:decouple_lr", "tfa.optimizers.AdamW"),
    *("timm.adamc", "timm.adan", "optimi.Adan:decouple_lr", "timm.lars", "timm.lion"),
    *("schedulefree.AdamWScheduleFree", "pytorch_optimizer.Prodigy"),
    *("sklearn.linear_model.SGDClassifier:optimal", "keras.optimizers.Ftrl"),
    *("sklearn.neural_network.MLPClassifier:adam", "loshchilov2019.lambda-norm"),
    *("keras.regularizers.L2", "gaussian-prior.sigma", "shrink", "half-life:epochs"),
    *("half-life:run", "bergsma2025.tau", "timm.sgdc"),
]


def test_a_remark_for_each_trap(snapshot: SnapshotAssertion):
    """Each is said with its numbers, and what to do where there is something."""
    texts = {}
    for trap, (number, knob, facts) in TRAPS.items():
        found = explain(number, knob, run=run_of(facts)).warnings
        code = trap.partition(" ")[0]
        texts[trap] = [each.text for each in found if each.code == code]
    assert all(texts.values())
    assert texts == snapshot


def test_the_first_line_of_every_trap(snapshot: SnapshotAssertion):
    """No rate, no optimizer, no lr, no decay, and decays beyond all bounds."""
    lines = {
        name: (found := explain(number, knob, run=run_of(facts))).summary
        + f" [{found.strength}]"
        for name, (number, knob, facts) in TRAPS.items()
    }
    assert lines == snapshot


def test_the_update_in_a_line(snapshot: SnapshotAssertion):
    """With numbers where they are known, else with letters that are explained."""
    known = Run(lr=3e-4, momentum=0.9, batch_size=20)
    unknown = Run(schedule=Schedule(shape="cosine"))
    nesterov = Run(lr=3e-4, momentum=0.9, nesterov=True)
    texts = {
        name: [explain(0.1, name, run=run).update for run in (known, unknown)]
        for name in LINES
    }
    texts["Nesterov"] = [explain(0.1, "torch.optim.SGD", run=nesterov).update]
    assert texts == snapshot


def test_what_a_conversion_keeps_and_assumes(snapshot: SnapshotAssertion):
    """The label, the formula, the assumptions and what was not used."""
    texts = {}
    for number, source, target, run, *after in PAIRS:
        found = convert(number, source, to=target, run=run, run_after=(*after, None)[0])
        texts[f"{number:g} {source} → {target} {len(texts)}"] = [
            f"{found.fidelity}, keeps {found.keeps}",
            found.formula,
            *found.assumptions,
            *(f"not used: {each}" for each in found.unused),
        ]
    assert texts == snapshot


def test_what_is_refused(snapshot: SnapshotAssertion):
    """Each refusal has its reason and a remedy."""
    texts = {}
    for number, source, target, run, *after in REFUSED:
        with pytest.raises(DwindleError) as raised:
            convert(number, source, to=target, run=run, run_after=(*after, None)[0])
        texts[f"{number:g} {source} → {target} {len(texts)}"] = str(raised.value)
    assert texts == snapshot

"""Audits of model definitions that people use, with the recipes they use them with."""

import math

import pytest
import torch
from frameworks.torchvision_names import torchvision_names
from torch.optim.lr_scheduler import CosineAnnealingLR

from dwindle.audit.codes import CODES
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.pytorch.audit import audit
from dwindle.pytorch.groups import decay_groups

with torchvision_names():
    import timm.models
    import timm.optim
    import timm.scheduler

import bitsandbytes
import schedulefree
import transformers

# Other people's libraries may be deprecated, and log.
pytestmark = pytest.mark.filterwarnings("default")

IMAGENET = Run(
    batch_size=256, dataset_size=1_281_167, epochs=90, schedule=Schedule(shape="cosine")
)
# nanoGPT: half a million tokens a step, 600,000 steps, warm-up of 2,000.
OPENWEBTEXT = Run(
    batch_size=480,
    steps=600_000,
    tokens_per_example=1024,
    schedule=Schedule(shape="cosine", final=0.1, warmup=2000 / 600_000),
)


def weightless(build):
    """A model of its real size, whose numbers take no memory."""
    with torch.device("meta"):
        return build()


def resnet():
    return weightless(timm.models.resnet50)


def vit():
    return weightless(timm.models.vit_base_patch16_224)


def gpt():
    config = transformers.GPT2Config()
    return weightless(lambda: transformers.GPT2LMHeadModel(config))


def bert():
    config = transformers.BertConfig()
    return weightless(lambda: transformers.BertForMaskedLM(config))


def by_dimensions(model, weight_decay):
    """nanoGPT's groups: what has two dimensions decays, embeddings too."""
    parameters = [each for each in model.parameters() if each.requires_grad]
    return [
        {
            "params": [p for p in parameters if p.dim() >= 2],
            "weight_decay": weight_decay,
        },
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]


def codes(found):
    return [each.code for each in found.findings]


def of(found, code):
    return next(each for each in found.findings if each.code == code)


@pytest.mark.parametrize("build", [resnet, vit, gpt, bert])
def test_decay_groups_make_every_model_clean(build):
    """With decay_groups nothing is an error or a warning, in any of the models."""
    model = build()
    groups = decay_groups(model, weight_decay=0.05)
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95))
    found = audit(model, optimizer, run=IMAGENET)
    assert [c for c in codes(found) if CODES[c].severity != "note"] == []
    held = sum(line.parameters for line in found.table)
    assert held == len(list(model.parameters()))


def test_resnet_50_with_its_usual_recipe():
    """Everything decays: 107 vectors too; 53 of 54 weights only turn."""
    model = resnet()
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4
    )
    found = audit(model, optimizer, run=IMAGENET)
    assert codes(found) == ["DW001", "DW002", "DW016"]
    assert of(found, "DW001").where == "fc.bias"
    assert of(found, "DW002").values["tensors"] == (106, 53_120)
    turning = of(found, "DW016").values
    assert (turning["found"], turning["decaying"]) == (53, 54)
    # √(2·lr·λ/(1 + μ)) = √(2e-5/1.9), the limit that the literature gives
    assert turning["angle"] == pytest.approx(math.sqrt(2e-5 / 1.9), rel=2e-3)
    assert found.table[0].half_life["epochs"] == pytest.approx(1.383, abs=1e-3)
    assert of(found, "DW002").line == (
        "from dwindle.pytorch import decay_groups\n"
        "optimizer = torch.optim.SGD(decay_groups(model, weight_decay=0.0001), "
        "lr=0.1, momentum=0.9)"
    )


def test_resnet_50_in_a_forward_pass():
    """What flows agrees with what is declared: all convolutions, the last layer not."""
    model = timm.models.resnet50()
    before = {name: each.clone() for name, each in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=1e-4)
    found = audit(model, optimizer, example=torch.randn(2, 3, 64, 64))
    turning = of(found, "DW016").values
    assert (turning["found"], turning["decaying"]) == (53, 54)
    assert turning["flows"] in {"bn1, a BatchNormAct2d", "bn1, a BatchNorm2d"}
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_vit_with_the_groups_of_timm():
    """timm leaves vectors out; class token and positions decay, which is noted."""
    model = vit()
    groups = timm.optim.param_groups_weight_decay(model, weight_decay=0.05)
    optimizer = torch.optim.AdamW(groups, lr=1e-3)
    found = audit(model, optimizer, run=IMAGENET)
    assert codes(found) == ["DW003"]
    assert found.exit_code == 0
    assert of(found, "DW003").where == "cls_token and pos_embed"


def test_a_vit_with_layer_decay():
    """Nothing scales under a scheduler of torch; under timm's half-lives stretch."""
    model = vit()
    groups = timm.optim.param_groups_layer_decay(
        model, weight_decay=0.05, no_weight_decay_list=["cls_token", "pos_embed"]
    )
    optimizer = torch.optim.AdamW(groups, lr=1e-3)
    torchs = CosineAnnealingLR(optimizer, 100)
    assert codes(audit(model, optimizer, scheduler=torchs)) == ["DW018"]
    for group in optimizer.param_groups:
        del group["initial_lr"]
    timms = timm.scheduler.CosineLRScheduler(optimizer, t_initial=100)
    timms.step_update(0)
    timms.step(0)
    found = audit(model, optimizer, scheduler=timms)
    assert codes(found) == ["DW014"]
    values = of(found, "DW014").values
    # 0.75 per layer, 12 blocks and the embedding: 0.75¹³ = 0.0238
    assert (values["slow"], values["fast"]) == (pytest.approx(0.75**13 * 1e-3), 1e-3)
    assert values["shortest"] == pytest.approx(13_863, abs=1)
    assert values["longest"] == pytest.approx(583_524, abs=10)


def _kept_by_timms_loop(scheduler, optimizer, run):
    """What a loop leaves that calls both steps of timm, as its script does."""
    lost, per_epoch = 0.0, run.steps_per_epoch
    for step in range(run.total_steps):
        if step and step % per_epoch == 0:
            scheduler.step(step // per_epoch)
        if step:
            scheduler.step_update(step)
        lr = optimizer.param_groups[0]["lr"]
        lost -= math.log1p(-lr * 0.05)
    return math.exp(-lost)


@pytest.mark.parametrize("in_epochs", [True, False])
@pytest.mark.parametrize("name", ["CosineLRScheduler", "StepLRScheduler"])
def test_a_scheduler_of_timm_knows_its_pace(name, in_epochs):
    """t_in_epochs gives it, and nothing is guessed."""
    run = Run(batch_size=10, dataset_size=200, epochs=30)
    total = 30 if in_epochs else 600
    own = {"t_initial": total, "warmup_t": total // 6, "warmup_lr_init": 1e-5}
    if name == "StepLRScheduler":
        own = {"decay_t": total // 3, "decay_rate": 0.1}

    def built():
        model = torch.nn.Linear(8, 8, bias=False)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
        kind = getattr(timm.scheduler, name)
        return model, optimizer, kind(optimizer, t_in_epochs=in_epochs, **own)

    model, optimizer, scheduler = built()
    found = audit(model, optimizer, scheduler=scheduler, run=run)
    assert found.facts["scheduler_every"] == ("epoch" if in_epochs else "step")
    _, optimizer, scheduler = built()
    expected = _kept_by_timms_loop(scheduler, optimizer, run)
    assert found.table[0].kept == pytest.approx(expected, rel=1e-12)


def test_a_plateau_of_timm_is_not_followed():
    """It waits for a metric, as torch's does."""
    model = torch.nn.Linear(8, 8, bias=False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scheduler = timm.scheduler.PlateauLRScheduler(optimizer)
    found = audit(model, optimizer, scheduler=scheduler, run=Run(steps=1000))
    assert found.table[0].kept is None
    assert any("metric" in text for text in found.unchecked)


def test_lamb_of_timm_turns_by_its_lr():
    """DW016 claims no product of lr and decay for it, and writes no line."""
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, bias=False), torch.nn.BatchNorm2d(8)
    )
    groups = decay_groups(model, weight_decay=0.02)
    found = audit(model, timm.optim.Lamb(groups, lr=5e-3))
    assert found.exit_code == 0
    assert of(found, "DW016").case == "by-size"
    assert of(found, "DW016").line == ""


def test_rmsprop_of_timm_keeps_the_square_of_its_lr():
    """EfficientNet's optimizer: a coupled decay, and a note."""
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, bias=False),
        torch.nn.BatchNorm2d(8),
        torch.nn.Flatten(),
        torch.nn.Linear(8, 4),
    )
    groups = decay_groups(model, weight_decay=1e-5)
    optimizer = timm.optim.RMSpropTF(groups, lr=0.016, alpha=0.9, momentum=0.9)
    found = audit(model, optimizer)
    assert found.exit_code == 0
    assert of(found, "DW016").case == "quadratic"


def test_gpt_2_small_with_nanogpts_recipe():
    """Clean, and it is noted that both embeddings decay, one of them as the head."""
    model = gpt()
    optimizer = torch.optim.AdamW(by_dimensions(model, 0.1), lr=6e-4, betas=(0.9, 0.95))
    found = audit(model, optimizer, run=OPENWEBTEXT)
    assert codes(found) == ["DW003"]
    assert found.exit_code == 0
    assert (
        of(found, "DW003").where == "transformer.wte.weight and transformer.wpe.weight"
    )
    assert "Linear" in of(found, "DW003").values["first"]
    assert found.table[0].half_life["run"] == pytest.approx(0.0193, abs=1e-4)


def test_gpt_2_small_as_adamw_comes():
    """All parameters to AdamW, whose default decays: biases and norms as well."""
    model = gpt()
    found = audit(model, torch.optim.AdamW(model.parameters(), lr=6e-4))
    assert codes(found) == ["DW001", "DW002", "DW003"]
    assert of(found, "DW002").values["tensors"] == (50, 38_400)


def test_bert_with_the_two_groups_of_its_script():
    """Clean groups; its published run is one of those in which decay hardly acts."""
    model = bert()
    named = list(model.named_parameters())
    words = ("bias", "LayerNorm.weight")
    left = [p for name, p in named if any(word in name for word in words)]
    ids = {id(parameter) for parameter in left}
    groups = [
        {"params": [p for _, p in named if id(p) not in ids], "weight_decay": 0.01},
        {"params": left, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-4)
    assert codes(audit(model, optimizer)) == ["DW003"]
    run = Run(batch_size=256, steps=1_000_000, schedule=Schedule(shape="linear"))
    found = audit(model, optimizer, run=run)
    assert codes(found) == ["DW003", "DW010"]
    assert found.exit_code == 0


def test_the_groups_of_the_hugging_face_trainer():
    """Its names and types find all of GPT-2's biases and norms; embeddings decay."""
    model = gpt()
    trainer = transformers.Trainer
    decayed = set(trainer.get_decay_parameter_names(None, model))
    named = dict(model.named_parameters())
    groups = [
        {"params": [named[n] for n in named if n in decayed], "weight_decay": 0.1},
        {"params": [named[n] for n in named if n not in decayed], "weight_decay": 0.0},
    ]
    assert codes(audit(model, torch.optim.AdamW(groups, lr=6e-4))) == ["DW003"]


def small(optimizer, **options):
    """A layer under an optimizer of another library, with weights that decay."""
    model = torch.nn.Sequential(torch.nn.Linear(8, 16, bias=False))
    return model, optimizer(model.parameters(), weight_decay=0.1, **options)


def test_schedule_free_has_no_half_life():
    """It decays, and no number of steps halves a weight: a note, no fault."""
    found = audit(*small(schedulefree.AdamWScheduleFree, lr=1e-3))
    assert codes(found) == ["DW025"]


def test_adam_of_bitsandbytes_is_called_otherwise():
    """Its Adam decouples, as AdamW of torch: unlike its name."""
    model, optimizer = small(bitsandbytes.optim.Adam, lr=1e-3)
    found = audit(model, optimizer)
    assert codes(found) == ["DW019"]
    assert of(found, "DW019").where == "bitsandbytes.Adam"
    line = of(found, "DW019").line
    assert line.startswith("from bitsandbytes.optim import AdamW\n")
    names = {"optimizer": optimizer}
    exec(line, names)  # noqa: S102  the line of our own finding
    (group,) = names["optimizer"].param_groups
    assert type(names["optimizer"]) is bitsandbytes.optim.AdamW
    assert group["weight_decay"] == optimizer.param_groups[0]["weight_decay"]


def test_adamw_of_bitsandbytes_decouples():
    """The same step under the right name is clean."""
    assert codes(audit(*small(bitsandbytes.optim.AdamW, lr=1e-3))) == []

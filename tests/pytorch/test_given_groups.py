"""Groups that exist, and lr scales: split by decay, every option kept."""

import pytest
import torch
from pytorch.tiny_transformer import Tiny, decaying
from torch import nn

from dwindle.errors import RangeError
from dwindle.pytorch import decay_groups


def test_given_groups_are_split_and_keep_their_options():
    """A learning rate per layer survives; each group is parted by what decays."""
    model = Tiny()
    given = [
        {"params": model.blocks.parameters(), "lr": 0.1, "lr_scale": 0.5, "eps": 1e-6},
        {"params": model.head.weight, "lr": 0.2},
    ]
    made = decay_groups(model, weight_decay=0.3, groups=given)
    options = [{k: v for k, v in group.items() if k != "params"} for group in made]
    kept = {"lr": 0.1, "lr_scale": 0.5, "eps": 1e-6}
    assert options == [
        {**kept, "weight_decay": 0.3, "decay_scale": 1.0},
        {**kept, "weight_decay": 0.0, "decay_scale": 0.0},
        {"lr": 0.2, "weight_decay": 0.3, "decay_scale": 1.0},
    ]
    left_out = [row.name for row in made.rows if row.group is None]
    assert left_out == ["pos_embed", "wte.weight"]


def test_the_groups_of_an_optimizer_can_be_split():
    """optimizer.param_groups are groups too, their decay is kept, names as well."""
    model = nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.named_parameters(), lr=0.2, weight_decay=0.3)
    made = decay_groups(model, groups=optimizer.param_groups)
    assert [group["param_names"] for group in made] == [["weight"], ["bias"]]
    assert [group["weight_decay"] for group in made] == [0.3, 0.0]
    assert [group["lr"] for group in torch.optim.AdamW(made).param_groups] == [0.2, 0.2]


def test_a_group_without_decay_stays_without():
    """A given group with 0 beside others that decay stays without, unless overruled."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    given = [
        {"params": list(model[0].parameters()), "weight_decay": 0.1},
        {"params": list(model[1].parameters()), "weight_decay": 0.0},
    ]
    own = {r.name for r in decay_groups(model, groups=given).rows if r.decays}
    assert own == {"0.weight"}
    assert decaying(model, groups=given, weight_decay=0.1) == {
        "0.weight",
        "1.weight",
    }


def test_groups_of_which_none_decays_decide_nothing():
    """Adam's 0 in every group is no decision against decay: roles decide the scales."""
    model = nn.Linear(2, 2)
    optimizer = torch.optim.Adam(model.parameters())
    made = decay_groups(model, groups=optimizer.param_groups)
    assert [group["decay_scale"] for group in made] == [1.0, 0.0]
    assert [group["weight_decay"] for group in made] == [0.0, 0.0]


def test_groups_that_are_not_of_the_model_are_refused():
    """A foreign parameter, one in two groups, no mappings, no params, no list."""
    model = nn.Linear(2, 2)
    for name, groups in [
        ("groups[0]", [{"params": [nn.Parameter(torch.ones(3))]}]),
        ("groups[1]", [{"params": model.weight}] * 2),
        ("groups[0]", [{"lr": 1.0}]),
        ("groups[0]", [nn.Parameter(torch.ones(2))]),
        ("groups", {"params": []}),
        ("groups", {}),
    ]:
        with pytest.raises(RangeError) as caught:
            decay_groups(model, groups=groups)
        assert caught.value.name == name


def test_lr_scales_make_groups_with_an_lr_of_their_own():
    """The first pattern that fits scales the lr; the schedulers keep the proportion."""
    model = Tiny()
    scales = {"blocks.0.*": 0.25, "blocks.*": 0.5}
    optimizer = torch.optim.SGD(decay_groups(model, lr=0.8, lr_scales=scales), lr=99)
    lrs = {
        id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]
    }
    layers = (
        model.blocks[0].up.weight,
        model.blocks[2].up.bias,
        model.head.weight,
    )
    assert [lrs[id(p)] for p in layers] == [0.2, 0.4, 0.8]


def test_lr_scales_multiply_the_lr_of_a_given_group():
    """A group that has an lr keeps it, scaled; a tensor lr stays a tensor."""
    model = nn.Linear(2, 2)
    given = [{"params": model.parameters(), "lr": torch.tensor(0.5)}]
    made = decay_groups(model, groups=given, lr=9, lr_scales={"*": 0.5})
    assert [group["lr"] for group in made] == [torch.tensor(0.25)] * 2

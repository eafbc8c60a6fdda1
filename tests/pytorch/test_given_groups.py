"""Groups that exist, and lr scales: split by decay, every option kept."""

import pytest
import torch
from torch import nn

from dwindle.errors import RangeError
from dwindle.pytorch import decay_groups


class Tiny(nn.Module):
    """An embedding, a token, blocks with every role, a head."""

    def __init__(self):
        super().__init__()
        self.wte = nn.Embedding(7, 4)
        self.pos_embed = nn.Parameter(torch.ones(1, 3, 4))
        self.blocks = nn.ModuleList(
            nn.ModuleDict({"norm": nn.LayerNorm(4), "up": nn.Linear(4, 8)})
            for _ in range(3)
        )
        self.head = nn.Linear(4, 7, bias=False)


def decaying(model, **words):
    return {row.name for row in decay_groups(model, **words).rows if row.decays}


def test_given_groups_are_split_and_keep_their_options():
    """A learning rate per layer survives; each group is parted by what decays."""
    model = Tiny()
    given_groups = [
        {"params": model.blocks.parameters(), "lr": 0.1, "lr_scale": 0.5, "eps": 1e-6},
        {"params": model.head.weight, "lr": 0.2},
    ]
    made = decay_groups(model, weight_decay=0.3, groups=given_groups)
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


def test_a_group_that_says_no_is_heard():
    """A given group with 0 beside others that decay stays without, unless overruled."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    given_groups = [
        {"params": list(model[0].parameters()), "weight_decay": 0.1},
        {"params": list(model[1].parameters()), "weight_decay": 0.0},
    ]
    own = {r.name for r in decay_groups(model, groups=given_groups).rows if r.decays}
    assert own == {"0.weight"}
    assert decaying(model, groups=given_groups, weight_decay=0.1) == {
        "0.weight",
        "1.weight",
    }


def test_groups_of_which_none_decays_say_nothing():
    """Adam's 0 in every group is no word against decay: the roles decide the scales."""
    model = nn.Linear(2, 2)
    optimizer = torch.optim.Adam(model.parameters())
    made = decay_groups(model, groups=optimizer.param_groups)
    assert [group["decay_scale"] for group in made] == [1.0, 0.0]
    assert [group["weight_decay"] for group in made] == [0.0, 0.0]


def test_groups_that_are_not_of_the_model_are_refused():
    """A foreign parameter, one in two groups, and a dict without params are told."""
    model = nn.Linear(2, 2)
    weight = [{"params": model.weight}]
    with pytest.raises(RangeError, match=r"groups\[0\].*model does not have"):
        decay_groups(model, groups=[{"params": [nn.Parameter(torch.ones(3))]}])
    with pytest.raises(RangeError, match=r"groups\[1\].*weight again.*groups\[0\]"):
        decay_groups(model, groups=weight * 2)


@pytest.mark.parametrize(
    ("groups", "told"),
    [
        ([{"lr": 1.0}], r"groups\[0\] must be a mapping with params.*\['lr'\]"),
        ([nn.Parameter(torch.ones(2))], r"mapping with params.*Got Parameter"),
        ({"params": []}, "groups must be a list of mappings"),
    ],
)
def test_groups_that_are_none_are_refused(groups, told):
    """A dict without params, a bare parameter and a single dict are told."""
    with pytest.raises(RangeError, match=told):
        decay_groups(nn.Linear(2, 2), groups=groups)


def test_lr_scales_make_groups_with_an_lr_of_their_own():
    """The first pattern that fits scales the lr; the schedulers keep the proportion."""
    model = Tiny()
    scales = {"blocks.0.*": 0.25, "blocks.*": 0.5}
    optimizer = torch.optim.SGD(decay_groups(model, lr=0.8, lr_scales=scales), lr=99)
    lrs = {
        id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]
    }
    layers = (
        model.blocks[0]["up"].weight,
        model.blocks[2]["up"].bias,
        model.head.weight,
    )
    assert [lrs[id(p)] for p in layers] == [0.2, 0.4, 0.8]


def test_lr_scales_multiply_the_lr_of_a_given_group():
    """A group that has an lr keeps it, scaled; a tensor lr stays a tensor."""
    model = nn.Linear(2, 2)
    given_groups = [{"params": model.parameters(), "lr": torch.tensor(0.5)}]
    made = decay_groups(model, groups=given_groups, lr=9, lr_scales={"*": 0.5})
    assert [group["lr"] for group in made] == [torch.tensor(0.25)] * 2


def test_lr_scales_without_an_lr_are_refused():
    """Only timm's scheduler reads a bare lr_scale: the lr is asked for."""
    with pytest.raises(RangeError, match=r"lr must be given beside lr_scales.*timm"):
        decay_groups(Tiny(), lr_scales={"head.*": 0.5})

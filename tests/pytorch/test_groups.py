"""decay_groups: which parameter goes where, who decides, and nothing is changed."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch.tiny_transformer import Tiny, decaying
from torch import nn

from dwindle.decay.penalties import NORMALIZATIONS, layer_coefficients
from dwindle.errors import PatternError, RangeError, UnknownNameError
from dwindle.pytorch import decay_groups


class Spared(Tiny):
    """A model that names what shall not decay, as timm's do."""

    def no_weight_decay(self):
        return {"head.weight", "blocks.0.*", "dist_token"}


WEIGHTS = {f"blocks.{i}.{layer}.weight" for i in range(3) for layer in ("up", "down")}
WEIGHTS |= {"head.weight"}


def test_weights_decay_and_nothing_else_does():
    """Matrices decay; embeddings, tokens, biases and gains get 0 and the scale 0."""
    groups = decay_groups(Tiny(), weight_decay=0.1)
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0]
    assert [group["decay_scale"] for group in groups] == [1.0, 0.0]
    assert decaying(Tiny()) == WEIGHTS
    assert sum(len(group["params"]) for group in groups) == 21
    with torch.device("meta"):  # nothing is computed, so nothing can fail
        assert decaying(Tiny()) == WEIGHTS


def test_without_a_number_that_of_the_optimizer_counts():
    """No weight_decay: decaying groups leave it to the optimizer, the others have 0."""
    for model, expected in ((Tiny(), [0.01, 0.0]), (nn.LayerNorm(3), [0.0])):
        groups = torch.optim.AdamW(decay_groups(model), lr=0.01).param_groups
        assert [group["weight_decay"] for group in groups] == expected


def test_nothing_is_changed():
    """Neither the model, its flags, nor the given groups are touched."""
    model = Spared()
    state = copy.deepcopy(model.state_dict())
    given_groups = [
        {"params": list(model.parameters()), "lr": 0.1, "betas": (0.9, 0.9)}
    ]
    seen = [{**group, "params": list(group["params"])} for group in given_groups]
    attributes = {id(module): set(vars(module)) for module in model.modules()}
    made = decay_groups(model, weight_decay=0.1, groups=given_groups)
    made[0]["betas"] = None
    assert all(torch.equal(model.state_dict()[name], state[name]) for name in state)
    assert {id(m): set(vars(m)) for m in model.modules()} == attributes
    for group, before in zip(given_groups, seen, strict=True):
        assert group.keys() == before.keys()
        assert group["betas"] == (0.9, 0.9)
        assert all(
            a is b for a, b in zip(group["params"], before["params"], strict=True)
        )


BIASES = {f"blocks.{i}.norm.bias" for i in range(3)}
CHOICES = {
    "embeddings": ({"embeddings": True}, WEIGHTS | {"wte.weight", "pos_embed"}),
    "a pattern that decays": ({"decay": ["*.norm.bias"]}, WEIGHTS | BIASES),
    "a pattern that spares": ({"no_decay": ["blocks.*"]}, {"head.weight"}),
    "one string is one pattern": ({"no_decay": "blocks.*"}, {"head.weight"}),
    "sparing is stronger": (
        {"decay": ["*"], "no_decay": ["blocks.*", "wte.*", "pos_*"]}, {"head.weight"}),
}  # fmt: skip


def test_the_caller_chooses():
    """Explicit patterns beat the role, and no_decay beats decay."""
    for name, (options, expected) in CHOICES.items():
        assert decaying(Tiny(), **options) == expected, name


def test_no_weight_decay_of_the_model_counts():
    """no_weight_decay() spares exact names and patterns; unknown names are its own."""
    spared = {"head.weight", "blocks.0.up.weight", "blocks.0.down.weight"}
    assert decaying(Spared()) == WEIGHTS - spared
    assert decaying(Spared(), model_says=False) == WEIGHTS
    assert decaying(Spared(), decay="head.*") == WEIGHTS - spared | {"head.weight"}
    whys = {row.name: row.why for row in decay_groups(Spared()).rows}
    assert "Spared" in whys["head.weight"]
    # Names are relative to the module that lists them, with any wrapper around.
    inside, top = nn.DataParallel(Spared()), nn.Linear(4, 2)
    names = {f"backbone.{name}" for name in decaying(Spared())} | {"top.weight"}
    assert decaying(nn.ModuleDict({"backbone": inside, "top": top})) == names


def test_the_model_may_declare_it_as_any_collection():
    """A method or a bare attribute, a set, a list, a dict or nothing; no text."""
    model = Tiny()
    for names in (None, [], {"head.weight"}, {"head.weight": 1}):
        model.no_weight_decay = names
        assert decaying(model) == WEIGHTS - set(names or ()), names
    for names in ("head.weight", 3):  # a text would be read letter by letter
        model.no_weight_decay = lambda names=names: names
        with pytest.raises(RangeError) as caught:
            decay_groups(model)
        assert (caught.value.name, caught.value.value) == (WHO, repr(names))


WHO = "no_weight_decay() of Tiny"


def test_a_mark_on_a_parameter_counts():
    """Of Mamba and of S4, who writes a group's options; the caller can overrule it."""
    model = Tiny()
    for mark, value in (
        ("_no_weight_decay", True),
        ("_optim", {"weight_decay": 0.0, "lr": 1e-3}),
    ):
        setattr(model.head.weight, mark, value)
        assert decaying(model) == WEIGHTS - {"head.weight"}, mark
        assert decaying(model, decay="head.weight") == WEIGHTS
        delattr(model.head.weight, mark)
    model.head.weight._optim = {"lr": 1e-3}
    assert decaying(model) == WEIGHTS


def test_a_pattern_that_fits_nothing_is_an_error():
    """A typing error is refused, with the nearest names and patterns."""
    for argument, pattern, nearest in (
        ("no_decay", "*.biass", "*.bias"),
        ("decay", "blocks.0.up.wieght", "blocks.0.up.weight"),
        ("no_decay", "heads.*", "head.*"),
        ("no_decay", "module.head.weight", "head.weight"),
    ):
        with pytest.raises(PatternError) as caught:
            decay_groups(Tiny(), **{argument: [pattern]})
        assert (caught.value.argument, caught.value.pattern) == (argument, pattern)
        assert nearest in caught.value.nearest


def test_normalizations_are_those_of_the_mathematics():
    """Each weight gets λ times the factor of decay.penalties for its layer."""
    model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2), nn.Linear(2, 5))
    for name in NORMALIZATIONS:
        factors = layer_coefficients(name, [(3, 5), (5, 2), (2, 5)])
        groups = decay_groups(model, weight_decay=0.1, normalization=name)
        found = {
            id(parameter): (group["weight_decay"], group["decay_scale"])
            for group in groups
            for parameter in group["params"]
        }
        for layer, factor in zip((model[0], model[2], model[3]), factors, strict=True):
            assert found[id(layer.weight)] == (0.1 * factor, factor), name
            assert found[id(layer.bias)] == (0.0, 0.0)
        assert len(groups) == len(set(factors)) + 1


def test_numbers_out_of_range_are_refused():
    """Negative and unending numbers are refused before an optimizer meets them."""
    for name, options in [
        ("weight_decay", {"weight_decay": -0.1}),
        ("weight_decay", {"weight_decay": float("nan")}),
        ("weight_decay", {"weight_decay": "1e-3"}),
        ("weight_decay", {"weight_decay": torch.ones(2)}),
        ("lr", {"lr": float("inf")}),
        ("lr_scales['head.*']", {"lr": 1.0, "lr_scales": {"head.*": -1.0}}),
        ("lr", {"lr_scales": {"head.*": 0.5}}),  # only timm reads a bare lr_scale
    ]:
        with pytest.raises(RangeError) as caught:
            decay_groups(Tiny(), **options)
        assert caught.value.name == name, options
    for model in (Tiny(), nn.LayerNorm(2)):  # also where no weight decays
        with pytest.raises(UnknownNameError) as unknown:
            decay_groups(model, normalization="layermean")
        assert "layer-mean" in unknown.value.nearest


def test_frozen_parameters_are_in_no_group():
    """PEFT-style: what can be trained is in a group, the rest is listed as frozen."""
    model = Tiny().requires_grad_(requires_grad=False)
    model.blocks[1].up.requires_grad_()
    groups = decay_groups(model, weight_decay=0.1, normalization="layer-mean")
    places = {row.name: row.group for row in groups.rows if row.group is not None}
    assert places == {"blocks.1.up.weight": 0, "blocks.1.up.bias": 1}
    assert groups[0]["decay_scale"] == 1 / 32
    assert {row.why for row in groups.rows if row.group is None} == {"frozen"}


def test_an_empty_tensor_does_not_decay():
    """A layer of no units has no numbers: no normalization divides by it."""
    model = nn.Sequential(nn.Linear(2, 2, bias=False))
    model.append(nn.Linear(2, 2)).append(nn.Module())
    model[2].weight = nn.Parameter(torch.ones(0, 2))
    assert decaying(model, normalization="layer-mean") == {"0.weight", "1.weight"}


def test_tied_weights_come_once():
    """An output layer tied to its embedding is one parameter, under both names."""
    model = Tiny()
    model.head.weight = model.wte.weight
    groups = decay_groups(model)
    ids = [id(parameter) for group in groups for parameter in group["params"]]
    assert len(ids) == len(set(ids)) == 20
    assert "wte.weight" not in decaying(model)
    assert "wte.weight" in decaying(model, decay="head.weight")  # either name will do


LAYERS = (
    lambda: nn.Linear(2, 3),
    lambda: nn.LayerNorm(2),
    lambda: nn.Embedding(3, 2),
    lambda: nn.Conv1d(2, 2, 3, bias=False),
)
OPTIONS = st.fixed_dictionaries(
    {
        "embeddings": st.booleans(),
        "normalization": st.sampled_from(NORMALIZATIONS),
        "weight_decay": st.none() | st.floats(0, 1),
        "no_decay": st.sampled_from([(), ("0.*",), ("*",)]),
        "decay": st.sampled_from([(), ("*.weight",)]),
    }
)


@given(
    st.lists(st.sampled_from(LAYERS), min_size=1, max_size=5),
    st.lists(st.booleans(), min_size=10, max_size=10),
    OPTIONS,
)
def test_every_trainable_parameter_is_in_exactly_one_group(layers, frozen, options):
    """With any arguments, groups part the trainable parameters, and rows have all."""
    model = nn.Sequential(*(make() for make in layers))
    model[0].weight.requires_grad_()
    for parameter, freeze in zip(list(model.parameters())[1:], frozen, strict=False):
        parameter.requires_grad_(not freeze)
    groups = decay_groups(model, **options)
    ids = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(ids) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    assert len(groups.rows) == len(list(model.parameters()))
    for position, group in enumerate(groups):
        rows = [row for row in groups.rows if row.group == position]
        assert {row.coefficient for row in rows} == {group["decay_scale"]}
        assert {row.decays for row in rows} == {group["decay_scale"] > 0}


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
    both = {"0.weight", "1.weight"}
    assert decaying(model, groups=given, weight_decay=0.1) == both
    # Adam's 0 in every group is no decision against decay: roles decide the scales.
    adam = torch.optim.Adam(model.parameters())
    assert decaying(model, groups=adam.param_groups) == both


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
    # A group that has an lr keeps it, scaled; a tensor lr stays a tensor.
    given = [{"params": model.parameters(), "lr": torch.tensor(0.5)}]
    made = decay_groups(model, groups=given, lr=9, lr_scales={"*": 0.5})
    assert [group["lr"] for group in made] == [torch.tensor(0.25)] * 2

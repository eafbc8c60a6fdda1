"""Roles of parameters: by the layer that owns them and by shape, never by a name."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from dwindle.errors import RefusedError
from dwindle.pytorch.parameters.roles import ROLES, parameter_roles


def roles(model):
    return {held.name: held.role for held in parameter_roles(model)}


def only(model, name):
    return next(held for held in parameter_roles(model) if held.name == name)


def compiled(model):
    return torch.compile(model, backend="eager")


class LlamaRMSNorm(nn.Module):
    """A normalization layer that is no torch class, as model libraries write them."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))


class Normalizer(nn.Module):
    """Not a normalization layer: it owns a matrix."""

    def __init__(self):
        super().__init__()
        self.norm_weight = nn.Parameter(torch.ones(4, 4))
        self.RMSNorm = nn.Linear(4, 4)


class Norm(nn.Module):
    """Called like one, but what it owns is a matrix."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 4))


class Conv1D(nn.Module):
    """The linear layer of GPT-2 in transformers: its weight is (inputs, outputs)."""

    def __init__(self, nf, nx):
        super().__init__()
        self.nf = nf
        self.weight = nn.Parameter(torch.zeros(nx, nf))
        self.bias = nn.Parameter(torch.zeros(nf))


class Loose(nn.Module):
    """Parameters that no layer owns."""

    def __init__(self):
        super().__init__()
        self.matrix = nn.Parameter(torch.zeros(3, 4))
        self.logit_scale = nn.Parameter(torch.zeros(()))
        self.gamma = nn.Parameter(torch.zeros(1, 4, 1, 1))
        self.cls_token = nn.Parameter(torch.zeros(1, 1, 4))
        self.pos_embed = nn.Parameter(torch.zeros(1, 9, 4))
        self.listed = nn.ParameterList([nn.Parameter(torch.zeros(2, 2))])


class Experts(nn.Module):
    """Stacked experts: a bias for each is a matrix, beside weights of three."""

    def __init__(self):
        super().__init__()
        self.up_proj = nn.Parameter(torch.zeros(3, 4, 8))
        self.up_proj_bias = nn.Parameter(torch.zeros(3, 8))
        self.relative_bias_table = nn.Parameter(torch.zeros(3, 8))


LAYERS = [
    (nn.Linear(3, 1), {"weight": "weight", "bias": "bias"}),
    (nn.Conv2d(1, 1, 1), {"weight": "weight", "bias": "bias"}),
    (nn.ConvTranspose1d(2, 3, 5), {"weight": "weight", "bias": "bias"}),
    (nn.Bilinear(2, 3, 4), {"weight": "weight", "bias": "bias"}),
    (nn.BatchNorm2d(3), {"weight": "norm", "bias": "norm"}),
    (nn.LayerNorm((2, 3)), {"weight": "norm", "bias": "norm"}),
    (nn.GroupNorm(1, 3), {"weight": "norm", "bias": "norm"}),
    (nn.RMSNorm(3), {"weight": "norm"}),
    (nn.InstanceNorm1d(3, affine=True), {"weight": "norm", "bias": "norm"}),
    (nn.Embedding(5, 3), {"weight": "embedding"}),
    (nn.Embedding(1, 3), {"weight": "embedding"}),
    (nn.EmbeddingBag(5, 3), {"weight": "embedding"}),
    (nn.PReLU(3), {"weight": "vector"}),
    (
        nn.LSTMCell(2, 3),
        {
            "weight_ih": "weight",
            "weight_hh": "weight",
            "bias_ih": "bias",
            "bias_hh": "bias",
        },
    ),
    (LlamaRMSNorm(), {"weight": "norm"}),
    (Norm(), {"weight": "weight"}),
    (
        Normalizer(),
        {"norm_weight": "weight", "RMSNorm.weight": "weight", "RMSNorm.bias": "bias"},
    ),
    (Conv1D(6, 3), {"weight": "weight", "bias": "bias"}),
    (
        Loose(),
        {
            "matrix": "weight",
            "logit_scale": "vector",
            "gamma": "vector",
            "cls_token": "token",
            "pos_embed": "token",
            "listed.0": "weight",
        },
    ),
    (
        Experts(),
        {
            "up_proj": "weight",
            "up_proj_bias": "bias",
            "relative_bias_table": "weight",
        },
    ),
]


def test_the_role_is_that_of_the_layer():
    """Each tensor of each kind of layer has the role that the layer gives it."""
    found = [roles(model) for model, _ in LAYERS]
    assert found == [expected for _, expected in LAYERS]
    assert {role for each in found for role in each.values()} <= set(ROLES)


def test_every_tensor_of_an_attention_layer_has_its_role():
    """Attention: stacked and separate matrices are weights, all its biases are none."""
    found = roles(nn.MultiheadAttention(4, 2, add_bias_kv=True, kdim=3))
    weights = {name for name, role in found.items() if role == "weight"}
    assert weights == {
        "q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight",
    }  # fmt: skip
    assert {found[name] for name in found if name not in weights} == {"bias"}


def test_a_name_that_misleads_changes_nothing():
    """Layers that are called like others keep their roles."""
    model = nn.ModuleDict({"norm": nn.Linear(2, 2), "weight": nn.LayerNorm(2)})
    model["bias"] = nn.Embedding(3, 2)
    assert roles(model) == {
        "norm.weight": "weight",
        "norm.bias": "bias",
        "weight.weight": "norm",
        "weight.bias": "norm",
        "bias.weight": "embedding",
    }


FANS = [
    (nn.Linear(3, 5), 3, 5),
    (nn.Bilinear(2, 3, 4), 6, 4),
    (nn.Conv2d(4, 6, 3), 36, 54),
    (nn.Conv2d(4, 6, 3, groups=2), 18, 27),
    (nn.ConvTranspose2d(4, 6, 3, groups=2), 18, 27),
    (nn.Embedding(9, 4), 1, 4),
    (Conv1D(6, 3), 3, 6),
    (Norm(), None, None),
]


def test_fans_are_what_one_output_sees_and_one_input_reaches():
    """Fans: channels per group times kernel; unknown where a layer does not show it."""
    weights = [only(model, "weight") for model, *_ in FANS]
    fans = [(each.fan_in, each.fan_out) for each in weights]
    assert fans == [(fan_in, fan_out) for _, fan_in, fan_out in FANS]


def test_the_fan_in_of_a_convolution_is_what_its_output_depends_on():
    """As many inputs move one output of a convolution as its fan_in says."""
    for groups in (1, 2, 4):
        conv = nn.Conv2d(4, 8, 3, groups=groups)
        batch = torch.randn(1, 4, 3, 3, requires_grad=True)
        (gradient,) = torch.autograd.grad(conv(batch)[0, 0, 0, 0], batch)
        assert only(conv, "weight").fan_in == torch.count_nonzero(gradient)


def test_a_linear_layer_of_another_library_tells_its_fans():
    """A class with in_features and out_features is a linear layer, either way round."""

    class TransposedLinear(nn.Module):
        def __init__(self):
            super().__init__()
            self.in_features, self.out_features = 3, 5
            self.weight = nn.Parameter(torch.zeros(3, 5))

    weight = only(TransposedLinear(), "weight")
    assert (weight.role, weight.fan_in, weight.fan_out) == ("weight", 3, 5)


def test_tied_weights_are_one():
    """An output layer tied to the embedding is one embedding with two names."""
    model = nn.ModuleDict({"head": nn.Linear(4, 9, bias=False)})
    model["wte"] = nn.Embedding(9, 4)
    model["wte"].weight = model["head"].weight
    (held,) = parameter_roles(model)
    assert held.names == ("head.weight", "wte.weight")
    assert (held.name, held.role) == ("head.weight", "embedding")
    assert held.why == "weight of an Embedding; also weight of a Linear"


def test_a_layer_used_twice_is_one():
    """A layer at two places comes once, with both names."""
    layer = nn.Linear(2, 2, bias=False)
    (held,) = parameter_roles(nn.Sequential(layer, nn.ReLU(), layer))
    assert held.names == ("0.weight", "2.weight")
    assert held.why == "weight of a Linear"


def test_a_model_that_holds_itself_comes_to_an_end():
    """A module that refers back to the whole is walked once."""
    model = nn.Sequential(nn.Linear(2, 2))
    model[0].whole = model
    assert [held.name for held in parameter_roles(model)] == ["0.weight", "0.bias"]


def test_names_are_those_of_the_model_inside_a_wrapper():
    """Wrappers leave no trace in names; a layer called ``module`` keeps its name."""
    model = nn.ModuleDict({"module": nn.Linear(2, 2), "norm": nn.LayerNorm(2)})
    expected = roles(model)
    assert "module.weight" in expected
    for wrapped in (
        nn.DataParallel(model),
        compiled(model),
        torch.optim.swa_utils.AveragedModel(model),
        compiled(nn.DataParallel(model)),
    ):
        assert roles(wrapped) == expected, type(wrapped)


def test_weight_norm_is_a_direction_that_is_a_weight_and_a_length_that_is_a_gain():
    """Of weight_norm the direction stays the weight, the length is like a norm's."""
    held = {
        h.name: h
        for h in parameter_roles(parametrizations.weight_norm(nn.Linear(2, 3)))
    }
    length = held["parametrizations.weight.original0"]
    direction = held["parametrizations.weight.original1"]
    assert (length.role, direction.role, held["bias"].role) == (
        "norm",
        "weight",
        "bias",
    )
    assert (direction.owner, direction.fan_in) == ("Linear", 2)
    assert direction.why == "weight of a Linear"


def test_the_older_weight_norm_is_read_alike():
    """Its hook and its two tensors have the same roles."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        model = nn.utils.weight_norm(nn.Conv1d(2, 3, 5))
    assert roles(model) == {"bias": "bias", "weight_g": "norm", "weight_v": "weight"}


def test_a_parametrized_or_pruned_weight_is_a_weight():
    """The tensor that a parametrization or a mask keeps has the role of the slot."""
    for wrap in (parametrizations.spectral_norm, parametrizations.orthogonal):
        found = roles(wrap(nn.Linear(3, 3)))
        assert found["parametrizations.weight.original"] == "weight"
    model = nn.Linear(3, 1)
    prune.l1_unstructured(model, "weight", 1)
    assert roles(model) == {"weight_orig": "weight", "bias": "bias"}


def test_what_a_parametrization_owns_is_judged_by_itself():
    """A learned map on a bias: the bias stays one, the map's matrix is a weight."""

    class Rotated(nn.Module):
        def __init__(self):
            super().__init__()
            self.rotation = nn.Linear(3, 3, bias=False)

        def forward(self, bias):
            return self.rotation(bias)

    model = nn.Linear(3, 3)
    parametrize.register_parametrization(model, "bias", Rotated())
    assert roles(model) == {
        "weight": "weight",
        "parametrizations.bias.original": "bias",
        "parametrizations.bias.0.rotation.weight": "weight",
    }


def test_frozen_and_odd_parameters_come_too():
    """Frozen, integer, complex and meta parameters have roles; nothing is computed."""
    model = nn.Linear(2, 2, device="meta").requires_grad_(requires_grad=False)
    model.table = nn.Parameter(
        torch.zeros(2, 2, dtype=torch.int64), requires_grad=False
    )
    model.phase = nn.Parameter(torch.zeros(2, 2, dtype=torch.complex64))
    held = {each.name: each for each in parameter_roles(model)}
    assert [each.trainable for each in held.values()] == [False, False, False, True]
    assert held["table"].role == held["phase"].role == "weight"


def _bare(**shapes):
    """A module that keeps tensors of these shapes itself."""
    module = nn.Module()
    for name, shape in shapes.items():
        module.register_parameter(name, nn.Parameter(torch.zeros(shape)))
    return module


TABLES = {
    "relative_position_bias_table": (169, 4),  # HF Swin and BEiT
    "rel_pos_h": (27, 64),  # SAM and ViTDet
    "position_enc": (32, 128),  # PatchTST
    "position_embeddings": (50, 16),  # Perceiver's trainable encoding
    "positional_embedding": (77, 512),  # CLIP's own code
    "latents": (256, 64),  # Perceiver
    "seg_embed": (2, 16, 64),  # XLNet
    "soft_prompt": (10, 32),
    "codebook": (512, 64),
}


def test_a_table_that_a_module_keeps_is_a_token():
    """Positions, latents, prompts and codebooks: in two dimensions as in three."""
    flat = roles(_bare(**TABLES))
    assert flat == dict.fromkeys(TABLES, "token")
    assert roles(_bare(**{name: (1, *shape) for name, shape in TABLES.items()})) == flat
    listed = nn.Module()
    listed.prompts = nn.ParameterList([torch.zeros(10, 32), torch.zeros(10, 32)])
    assert set(roles(listed).values()) == {"token"}


def test_a_matrix_that_a_module_keeps_is_a_weight():
    """Projections, also of positions, and single letters are multiplied with."""
    shapes = dict.fromkeys(
        ("q", "text_projection", "pos_proj", "embed_weight", "W", "B", "query"), (8, 8)
    )
    assert roles(_bare(**shapes)) == dict.fromkeys(shapes, "weight")
    layer = nn.Module()
    layer.pos_embed = nn.Conv2d(4, 8, 1)
    assert roles(layer)["pos_embed.weight"] == "weight"


def test_logarithms_of_rates_are_no_weights():
    """A_log of Mamba, FalconMamba and Jamba is (channels, states), and no matrix."""
    (held, _) = parameter_roles(_bare(A_log=(64, 8), D=(64,)))
    assert (held.role, held.why) == ("vector", "A_log of a Module, logarithms of rates")


def test_a_convolution_for_each_sample_is_a_weight():
    """StyleGAN2's (1, out, in, k, k) is a weight; (1, length, width) stays a token."""
    shapes = {"weight": (1, 8, 4, 3, 3), "tokens": (1, 8, 4), "pos_embed": (1, 4, 7, 7)}
    assert roles(_bare(**shapes)) == {
        "weight": "weight",
        "tokens": "token",
        "pos_embed": "token",
    }
    assert roles(_bare(weight=(1, 3, 8, 1, 1))) == {"weight": "weight"}


def test_the_half_of_lora_that_tokens_look_up_is_an_embedding():
    """Peft keeps (rank, tokens) in a dict beside the embedding; B is a matrix."""
    model = nn.Module()
    for name, shape in {
        "lora_embedding_A": (4, 50),
        "lora_embedding_B": (8, 4),
    }.items():
        kept = nn.ParameterDict({"default": nn.Parameter(torch.zeros(shape))})
        model.register_module(name, kept)
    found = roles(model)
    assert found["lora_embedding_A.default"] == "embedding"
    assert found["lora_embedding_B.default"] == "weight"


# torch itself calls TorchScript old.
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_model_without_shapes_or_layers_is_refused():
    """Lazy, flattened or scripted, or no model: the error has what to do instead."""
    lazy = nn.Sequential(nn.LazyLinear(3))
    flattened = type("FullyShardedDataParallel", (nn.Module,), {})
    model = nn.Sequential(nn.Embedding(3, 2), nn.Linear(2, 2))
    scripted = torch.jit.script(model)
    asked = {}
    for name, given in {
        "0.weight": lazy,
        "FSDP1": nn.Sequential(flattened()),
        "TorchScript": scripted,
        "list": list(nn.Linear(2, 2).parameters()),
    }.items():
        with pytest.raises(RefusedError) as caught:
            parameter_roles(given)
        assert caught.value.instead
        asked[name] = caught.value.asked
    assert [name for name, what in asked.items() if name not in what] == []
    # As the messages say: a batch makes the lazy layer, and grouping the model groups
    # the parameters of the script.
    lazy(torch.zeros(1, 2))
    assert roles(lazy) == {"0.weight": "weight", "0.bias": "bias"}
    ours, its = (set(map(id, each.parameters())) for each in (model, scripted))
    assert ours == its


def test_a_parameter_that_deepspeed_took_away_keeps_its_shape():
    """Its third stage leaves an empty tensor with the shape in ds_shape."""
    model = nn.Linear(3, 5)
    model.weight.ds_shape = torch.Size((5, 3))
    model.weight.data = torch.empty(0)
    weight = only(model, "weight")
    assert (weight.role, weight.shape, weight.numbers) == ("weight", (5, 3), 15)
    assert weight.fan_in == 3


def test_the_reason_reads_well():
    """An acronym that is spelled has its article."""
    mlp = type("MLP", (nn.Linear,), {})(2, 2)
    assert only(mlp, "weight").why == "weight of an MLP"
    assert only(nn.Embedding(2, 2), "weight").why == "weight of an Embedding"
    assert only(nn.Linear(2, 2), "weight").why == "weight of a Linear"

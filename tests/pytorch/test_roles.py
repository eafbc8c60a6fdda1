"""Roles of parameters: by the layer that owns them and by shape, never by a name."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from dwindle.decay.roles import ROLES
from dwindle.errors import RefusedError
from dwindle.pytorch.parameters.roles import parameter_roles


def roles(model):
    return {held.name: held.role for held in parameter_roles(model)}


def only(model, name):
    return next(held for held in parameter_roles(model) if held.name == name)


def compiled(model):
    return torch.compile(model, backend="eager")


def bare(kind="Module", **shapes):
    """A module of some class that keeps tensors of these shapes itself."""
    module = type(kind, (nn.Module,), {})()
    for name, shape in shapes.items():
        module.register_parameter(name, nn.Parameter(torch.zeros(shape)))
    return module


def rms_norm():
    """A normalization layer that is no torch class."""
    return bare("LlamaRMSNorm", weight=(4,))


def norm_of_a_matrix():
    """Called like one, but what it owns is a matrix."""
    return bare("Norm", weight=(4, 4))


def normalizer():
    """Not a normalization layer: it owns a matrix, and has a layer of that name."""
    module = bare("Normalizer", norm_weight=(4, 4))
    module.RMSNorm = nn.Linear(4, 4)
    return module


def conv1d(nf, nx):
    """The linear layer of GPT-2 in transformers: its weight is (inputs, outputs)."""
    module = bare("Conv1D", weight=(nx, nf), bias=(nf,))
    module.nf = nf
    return module


def loose():
    """Parameters that no layer owns."""
    tokens = {"cls_token": (1, 1, 4), "pos_embed": (1, 9, 4)}
    module = bare(matrix=(3, 4), logit_scale=(), gamma=(1, 4, 1, 1), **tokens)
    module.listed = nn.ParameterList([nn.Parameter(torch.zeros(2, 2))])
    return module


def experts():
    """Stacked experts: a bias for each is a matrix, beside weights of three."""
    biases = {"up_proj_bias": (3, 8), "relative_bias_table": (3, 8)}
    return bare(up_proj=(3, 4, 8), **biases)


def misleading():
    """Layers that are called like others keep their roles."""
    model = nn.ModuleDict({"norm": nn.Linear(2, 2), "weight": nn.LayerNorm(2)})
    model["bias"] = nn.Embedding(3, 2)
    return model


def pruned():
    model = nn.Linear(3, 1)
    prune.l1_unstructured(model, "weight", 1)
    return model


def listed(*names, shape):
    """Modules that keep a list each, or a dict as peft's adapters do."""
    model = nn.Module()
    for name in names:
        kept = nn.ParameterDict({"default": nn.Parameter(torch.zeros(shape))})
        model.register_module(name, kept)
    return model


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
# Projections, also of positions, and single letters are multiplied with.
MATRICES = dict.fromkeys(
    ("q", "text_projection", "pos_proj", "embed_weight", "W", "B", "query"), (8, 8)
)
W, B = {"weight": "weight"}, {"bias": "bias"}
GAIN, NORM = {"weight": "norm"}, {"weight": "norm", "bias": "norm"}
ROWS = {"weight": "embedding"}
ORIGINAL = {"parametrizations.weight.original": "weight"}
CELL = {f"{kind}_{part}": kind for kind in ("weight", "bias") for part in ("ih", "hh")}
LAYERS = [
    (nn.Linear(3, 1), W | B),
    (nn.Conv2d(1, 1, 1), W | B),
    (nn.ConvTranspose1d(2, 3, 5), W | B),
    (nn.Bilinear(2, 3, 4), W | B),
    (nn.BatchNorm2d(3), NORM),
    (nn.LayerNorm((2, 3)), NORM),
    (nn.GroupNorm(1, 3), NORM),
    (nn.RMSNorm(3), GAIN),
    (nn.InstanceNorm1d(3, affine=True), NORM),
    (nn.Embedding(5, 3), ROWS),
    (nn.Embedding(1, 3), ROWS),
    (nn.EmbeddingBag(5, 3), ROWS),
    (nn.PReLU(3), {"weight": "vector"}),
    (nn.LSTMCell(2, 3), CELL),
    (rms_norm(), GAIN),
    (norm_of_a_matrix(), W),
    (normalizer(), {"norm_weight": "weight", "RMSNorm.weight": "weight",
                    "RMSNorm.bias": "bias"}),
    (conv1d(6, 3), W | B),
    (loose(), {"matrix": "weight", "logit_scale": "vector", "gamma": "vector",
               "cls_token": "token", "pos_embed": "token", "listed.0": "weight"}),
    (nn.MultiheadAttention(4, 2, add_bias_kv=True, kdim=3),
     dict.fromkeys(("q_proj_weight", "k_proj_weight", "v_proj_weight",
                    "out_proj.weight"), "weight")
     | dict.fromkeys(("in_proj_bias", "bias_k", "bias_v", "out_proj.bias"), "bias")),
    (misleading(), {"norm.weight": "weight", "norm.bias": "bias",
                    "weight.weight": "norm", "weight.bias": "norm",
                    "bias.weight": "embedding"}),
    # What a parametrization or a mask keeps has the role of the slot.
    (parametrizations.spectral_norm(nn.Linear(3, 3, bias=False)), ORIGINAL),
    (parametrizations.orthogonal(nn.Linear(3, 3, bias=False)), ORIGINAL),
    (pruned(), {"weight_orig": "weight"} | B),
    # Positions, latents, prompts and codebooks: in two dimensions as in three.
    (bare(**TABLES), dict.fromkeys(TABLES, "token")),
    (bare(**{name: (1, *shape) for name, shape in TABLES.items()}),
     dict.fromkeys(TABLES, "token")),
    (listed("prompts", shape=(10, 32)), {"prompts.default": "token"}),
    (bare(**MATRICES), dict.fromkeys(MATRICES, "weight")),
    # Logarithms of rates, of Mamba, FalconMamba and Jamba.
    (bare(A_log=(64, 8), D=(64,)), {"A_log": "vector", "D": "vector"}),
    # StyleGAN2's (1, out, in, k, k) is a weight; (1, length, width) stays a token.
    (bare(weight=(1, 8, 4, 3, 3), tokens=(1, 8, 4), pos_embed=(1, 4, 7, 7)),
     W | {"tokens": "token", "pos_embed": "token"}),
    (bare(weight=(1, 3, 8, 1, 1)), W),
    # Peft keeps (rank, tokens) in a dict beside the embedding; B is a matrix.
    (listed("lora_embedding_A", shape=(4, 50)),
     {"lora_embedding_A.default": "embedding"}),
    (listed("lora_embedding_B", shape=(8, 4)), {"lora_embedding_B.default": "weight"}),
    (experts(), {"up_proj": "weight", "up_proj_bias": "bias",
                 "relative_bias_table": "weight"}),
]  # fmt: skip


def test_the_role_is_that_of_the_layer():
    """Each tensor of each kind of layer has the role that the layer gives it."""
    found = [roles(model) for model, _ in LAYERS]
    assert found == [expected for _, expected in LAYERS]
    assert {role for each in found for role in each.values()} <= set(ROLES)


def transposed():
    """A linear layer of another library, whose weight is (inputs, outputs)."""
    layer = bare("TransposedLinear", weight=(3, 5))
    layer.in_features, layer.out_features = 3, 5
    return layer


def taken_away():
    """What DeepSpeed's third stage leaves: no numbers, the shape in ds_shape."""
    layer = nn.Linear(3, 5)
    layer.weight.ds_shape = torch.Size((5, 3))
    layer.weight.data = torch.empty(0)
    return layer


FAN_INS = [
    (nn.Linear(3, 5), 3),
    (nn.Bilinear(2, 3, 4), 6),
    (nn.ConvTranspose2d(4, 6, 3, groups=2), 18),
    (nn.Embedding(9, 4), 1),
    (conv1d(6, 3), 3),
    (norm_of_a_matrix(), None),
    (transposed(), 3),
    (taken_away(), 3),
]


def test_the_fan_in_is_what_one_output_sees():
    """Unknown where a layer does not show it; of a convolution what moves an output."""
    found = [only(model, "weight").fan_in for model, _ in FAN_INS]
    assert found == [fan_in for _, fan_in in FAN_INS]
    assert only(taken_away(), "weight").numbers == 15
    for groups in (1, 2, 4):
        conv = nn.Conv2d(4, 8, 3, groups=groups)
        batch = torch.randn(1, 4, 3, 3, requires_grad=True)
        (gradient,) = torch.autograd.grad(conv(batch)[0, 0, 0, 0], batch)
        assert only(conv, "weight").fan_in == torch.count_nonzero(gradient)


def test_tied_weights_are_one():
    """A head tied to its embedding is an embedding; a layer used twice is one, too."""
    model = nn.ModuleDict({"head": nn.Linear(4, 9, bias=False)})
    model["wte"] = nn.Embedding(9, 4)
    model["wte"].weight = model["head"].weight
    (held,) = parameter_roles(model)
    assert held.names == ("head.weight", "wte.weight")
    assert (held.name, held.role) == ("head.weight", "embedding")
    assert held.why.index("an Embedding") < held.why.index("a Linear")
    layer = nn.Linear(2, 2, bias=False)
    (held,) = parameter_roles(nn.Sequential(layer, nn.ReLU(), layer))
    (alone,) = parameter_roles(layer)
    assert (held.names, held.why) == (("0.weight", "2.weight"), alone.why)


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
    model = parametrizations.weight_norm(nn.Linear(2, 3))
    parts = {f"parametrizations.weight.original{at}": at for at in (0, 1)}
    names = dict(zip(parts, ("norm", "weight"), strict=True))
    assert roles(model) == names | {"bias": "bias"}
    direction = only(model, [*parts][1])
    assert (direction.owner, direction.fan_in) == ("Linear", 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        older = nn.utils.weight_norm(nn.Conv1d(2, 3, 5))  # a hook, and two tensors
    assert roles(older) == {"bias": "bias", "weight_g": "norm", "weight_v": "weight"}


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


# torch itself calls TorchScript old.
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_model_without_shapes_or_layers_is_refused():
    """A script or a lazy layer; what the errors advise makes it work."""
    lazy = nn.Sequential(nn.LazyLinear(3))
    model = nn.Sequential(nn.Embedding(3, 2), nn.Linear(2, 2))
    scripted = torch.jit.script(model)
    for given, named in ((lazy, "0.weight"), (scripted, "TorchScript")):
        with pytest.raises(RefusedError) as caught:
            parameter_roles(given)
        assert named in caught.value.asked
    # A batch makes the lazy layer, and grouping the model groups what the script has.
    lazy(torch.zeros(1, 2))
    assert roles(lazy) == {"0.weight": "weight", "0.bias": "bias"}
    ours, its = (set(map(id, each.parameters())) for each in (model, scripted))
    assert ours == its

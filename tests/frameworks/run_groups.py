"""Groups of models that people train, beside the rules of their libraries."""

import pytest
import torch
from frameworks.torchvision_names import torchvision_names

from dwindle.pytorch.groups import decay_groups
from dwindle.pytorch.parameters.roles import parameter_roles

with torchvision_names():
    import timm.models
    from timm.optim import param_groups_layer_decay, param_groups_weight_decay

import transformers

# Other people's libraries may be deprecated, and log.
pytestmark = pytest.mark.filterwarnings("default")


def weightless(build, *given, **options):
    """A model of its real size, whose numbers take no memory."""
    with torch.device("meta"):
        return build(*given, **options)


def from_timm(name):
    return weightless(timm.models.create_model, name)


def decaying(model, **options):
    return {row.name for row in decay_groups(model, **options).rows if row.decays}


def decaying_by_timm(model):
    spared = model.no_weight_decay() if hasattr(model, "no_weight_decay") else ()
    groups = param_groups_weight_decay(model, 1.0, no_weight_decay_list=spared)
    chosen = {
        id(p) for group in groups if group["weight_decay"] for p in group["params"]
    }
    return {name for name, p in model.named_parameters() if id(p) in chosen}


ALIKE = [
    "resnet50",
    "vit_base_patch16_224",
    "convnext_tiny",
    "swin_tiny_patch4_window7_224",
    "beit_base_patch16_224",
    "efficientnet_b0",
    "maxvit_tiny_tf_224",
    "levit_128",
    "eva02_tiny_patch14_224",
    "mixer_s32_224",
    "vgg11",
    "densenet121",
    "crossvit_9_240",
    "volo_d1_224",
    "tnt_s_patch16_224",
    "sequencer2d_s",
]


@pytest.mark.parametrize("name", ALIKE)
def test_timm_and_the_roles_agree(name):
    """By layer and shape the same decays as by timm's rule of one dimension."""
    model = from_timm(name)
    assert decaying(model) == decaying_by_timm(model)


def test_gains_of_four_dimensions_are_gains():
    """NFNet's gains are (channels, 1, 1, 1): timm decays them, a vector is none."""
    model = from_timm("nfnet_f0")
    more = decaying_by_timm(model) - decaying(model)
    assert more == {name for name, _ in model.named_parameters() if ".gain" in name}


def test_no_weight_decay_of_a_block_counts():
    """XCiT's blocks spare their temperature; timm reads the whole model's alone."""
    model = from_timm("xcit_nano_12_p8_224")
    rows = {row.name: row for row in decay_groups(model).rows}
    more = decaying_by_timm(model) - decaying(model)
    assert len(more) == 12
    assert {rows[name].why for name in more} == {"no_weight_decay() of XCA"}


def test_lr_scales_of_timm_survive():
    """Layer-wise lr decay: every parameter keeps its lr_scale, gains stop decaying."""
    model = from_timm("vit_tiny_patch16_224")
    given = param_groups_layer_decay(model, weight_decay=0.05, layer_decay=0.5)
    scales = {id(p): group["lr_scale"] for group in given for p in group["params"]}
    made = decay_groups(model, groups=given)
    assert len(scales) == sum(len(group["params"]) for group in made) == 152
    for group in made:
        assert {scales[id(p)] for p in group["params"]} == {group["lr_scale"]}
        assert group["weight_decay"] == 0.05 * group["decay_scale"]


def of_transformers(config, kind="AutoModel"):
    return weightless(getattr(transformers, kind).from_config, config)


def test_gpt2_decays_as_in_nanogpt_once_embeddings_do():
    """nanoGPT decays what has two dimensions: with embeddings=True the same set."""
    model = of_transformers(transformers.GPT2Config(), "AutoModelForCausalLM")
    two = {name for name, p in model.named_parameters() if p.ndim >= 2}
    assert decaying(model, embeddings=True) == two
    assert two - decaying(model) == {"transformer.wte.weight", "transformer.wpe.weight"}
    qkv = next(h for h in parameter_roles(model) if h.name.endswith("c_attn.weight"))
    assert (qkv.shape, qkv.fan_in) == ((768, 2304), 768)


NORMS = [
    (transformers.T5Config(num_layers=2), 12),
    (transformers.LlamaConfig(num_hidden_layers=2), 5),
    (transformers.BertConfig(num_hidden_layers=2), 10),
    (transformers.MambaConfig(num_hidden_layers=2), 3),
]


@pytest.mark.parametrize(
    ("config", "norms"), NORMS, ids=[type(c).__name__ for c, _ in NORMS]
)
def test_norms_of_transformers_are_found_by_their_class(config, norms):
    """RMS norms are no torch class and have many names: all of them are found."""
    roles = [held.role for held in parameter_roles(of_transformers(config))]
    assert roles.count("norm") == norms


def test_biases_of_experts_do_not_decay():
    """Each expert of gpt-oss has a bias: a matrix of two dimensions that is none."""
    sizes = dict.fromkeys(("hidden_size", "intermediate_size", "vocab_size"), 64)
    config = transformers.GptOssConfig(
        num_hidden_layers=1, num_local_experts=4, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, **sizes,
    )  # fmt: skip
    names = decaying(of_transformers(config))
    assert "layers.0.mlp.experts.gate_up_proj" in names
    assert not any("bias" in name for name in names)


KEPT_BARE = [
    (transformers.MambaConfig(num_hidden_layers=1), "A_log"),
    (transformers.FalconMambaConfig(num_hidden_layers=1), "A_log"),
    (transformers.PerceiverConfig(num_blocks=1), "latents"),
    (transformers.PatchTSTConfig(positional_encoding_type="random"), "position_enc"),
    (transformers.XLNetConfig(n_layer=1), "seg_embed"),
    (transformers.BeitConfig(use_relative_position_bias=True), "bias_table"),
    (transformers.SwinConfig(), "bias_table"),
    (transformers.VitDetConfig(use_relative_position_embeddings=True), "rel_pos_h"),
]


@pytest.mark.parametrize(
    ("config", "ending"), KEPT_BARE, ids=[type(c).__name__ for c, _ in KEPT_BARE]
)
def test_matrices_that_are_no_weights_do_not_decay(config, ending):
    """Rates, positions, latents and segments that a module keeps without a layer."""
    rows = decay_groups(of_transformers(config)).rows
    found = [row for row in rows if row.name.endswith(ending)]
    assert found
    assert not any(row.decays for row in found)


def test_projections_that_a_module_keeps_bare_decay():
    """XLNet's q, k, v, o and r are (width, heads, width of a head): weights."""
    model = of_transformers(transformers.XLNetConfig(n_layer=1))
    kept = {f"layer.0.rel_attn.{name}" for name in "qkvor"}
    assert kept <= decaying(model)

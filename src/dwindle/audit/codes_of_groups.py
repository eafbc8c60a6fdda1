"""The codes of param groups: what decays that should not, is missing, or is twice."""

from dwindle.audit.code import Code

_GROUPS = (
    "decay_groups(model, weight_decay=0.1) from dwindle.pytorch makes such groups."
)

GROUP_CODES = (
    Code(
        code="DW001",
        severity="warning",
        title="a bias decays",
        why="A bias has no size that overfits: decay only pulls the outputs of its "
        "layer towards zero. Most published recipes leave biases alone, yet every "
        "optimizer of torch decays all that it is given.",
        found="By the module that owns the parameter and by its shape, never by a part "
        "of its name: the bias of a layer, or another vector (a scale, the slope of a "
        "PReLU), in a group that decays. A note where published recipes of the kind do "
        "it (SGD on convolutional networks), or where the run leaves nearly all.",
        write="Give biases a group of their own with weight_decay=0.0. " + _GROUPS,
        source="torch 2.13.0, torch/optim: no optimizer tells parameters apart",
    ),
    Code(
        code="DW002",
        severity="warning",
        title="the weight of a normalization layer decays",
        why="The weight of a LayerNorm, RMSNorm or BatchNorm is a gain that starts at "
        "1; decay pulls it to 0, and the layer after it makes up for that or does not. "
        "Filters by name miss many of them: Hugging Face's looks for words such as "
        "layernorm, and ln_1 or ln_f has none.",
        found="By the type of the module (torch's normalization layers and modules "
        "whose class is called so and hold vectors only), in a group that decays. A "
        "note under the same conditions as DW001.",
        write="Give them a group with weight_decay=0.0. " + _GROUPS,
        source="transformers 5.23.0, trainer.py (get_decay_parameter_names); "
        "huggingface/transformers issues 35927, 42754",
    ),
    Code(
        code="DW003",
        severity="note",
        title="an embedding or a token decays",
        why="A row of an embedding only learns where its token occurs, but decays at "
        "every step: rare rows shrink most. Good recipes differ: nanoGPT decays its "
        "embedding, which is the output layer too; levanter, OLMo and ViT leave "
        "embeddings, position embeddings and class tokens alone.",
        found="By the module (Embedding, EmbeddingBag) or, for tokens that all samples "
        "share, by a shape of (1, n, width), in a group that decays.",
        write="Keep it if the recipe says so; else decay_groups(model, "
        "weight_decay=0.1, embeddings=False).",
        source="karpathy/nanoGPT@3adf61e1; levanter@9263f81e; OLMo 0.6.0",
    ),
    Code(
        code="DW004",
        severity="error",
        title="a trainable parameter is in no group",
        why="The optimizer never sees it: it stays at its initial value, and does not "
        "decay either. It happens when groups are made by patterns of names.",
        found="By comparing the parameters of the model that want a gradient with "
        "those in the param groups, by identity.",
        write="Add it to a group, or freeze it: parameter.requires_grad_(False).",
        source="torch 2.13.0, torch/optim/optimizer.py",
    ),
    Code(
        code="DW005",
        severity="error",
        title="a parameter is in two groups, or twice in one",
        why="It is stepped and decayed twice in each step. torch refuses a parameter "
        "in two groups and only warns of one that is twice in the same group; groups "
        "that were edited later are not checked at all.",
        found="By the identity of the parameters in all param groups.",
        write="List every parameter once: model.parameters() does, and gives tied "
        "weights once.",
        source="torch 2.13.0, torch/optim/optimizer.py (add_param_group)",
    ),
    Code(
        code="DW006",
        severity="error",
        title="one storage is held by two parameters",
        why="Weights that are tied by sharing memory, instead of being one Parameter, "
        "count as two: each step decays the numbers twice, and the optimizer keeps two "
        "states for them.",
        found="By the address of the memory of all parameters in param groups.",
        write="Tie by assignment: head.weight = embedding.weight.",
        source="torch 2.13.0: a Parameter is known by its identity, not its memory",
    ),
    Code(
        code="DW007",
        severity="error",
        title="a penalty in the loss and a decay in the optimizer",
        why="Both pull the same weights to zero; under SGD their coefficients simply "
        "add up, so each number that one reads is only half of the truth.",
        found="An L2Penalty of dwindle, or one that the loss is seen to hold, on "
        "parameters whose group has a weight_decay.",
        write="Keep one: weight_decay=0.0 in the optimizer, or no term in the loss.",
        source="rutgerswiselab/NCR issue 2, for example",
    ),
    Code(
        code="DW013",
        severity="warning",
        title="a second decay that nobody typed",
        why="ASGD of torch has lambd=1e-4, a decay of its own that is on by default, "
        "beside weight_decay; other optimizers hide such a term too.",
        found="A copy of the optimizer with its knob at 0 steps an undriven weight: "
        "whatever still decays is the second decay.",
        write="Turn it off: torch.optim.ASGD(..., lambd=0.0).",
        source="torch 2.13.0, torch/optim/asgd.py",
    ),
    Code(
        code="DW014",
        severity="note",
        title="layer-wise learning rates stretch the half-life",
        why="Where the decay is lr times weight_decay, a layer with a tenth of the lr "
        "decays a tenth as fast: layer-wise lr decay is layer-wise weight decay too, "
        "and the first layers of a network may hardly decay at all.",
        found="Groups with one weight_decay and learning rates that differ, under an "
        "optimizer whose decay follows the lr.",
        write="To give all layers one half-life, hold it: DecayController(optimizer, "
        'half_life="3 epochs", ...), or divide each weight_decay by its lr scale.',
        source="timm 1.0.31, timm/optim/_param_groups.py (layer decay)",
    ),
    Code(
        code="DW015",
        severity="warning",
        title="rows or weights without gradient that decay",
        why="A gradient of zero is no missing gradient: the optimizer steps, and decay "
        "takes the rows to zero. Rows frozen by zeroing their gradient and tokens that "
        "never occur fade this way.",
        found="Rows of a decayed embedding whose gradient, left by the last backward, "
        "is exactly zero; and padding rows that are not zero. As a note, whole weights "
        "whose gradient is zero while others have one.",
        write="Leave the parameter undecayed, or use sparse gradients; to freeze rows, "
        "keep them in a parameter of their own with requires_grad_(False).",
        source="huggingface/diffusers issues 1009, 1176; measured",
    ),
    Code(
        code="DW016",
        severity="note",
        title="decay before a normalization only sets the effective lr",
        why="A weight that is followed by a normalization layer can be scaled without "
        "changing the function: decay does not regularize it. It sets how far "
        "the weight turns per step: by the root of lr · weight_decay under SGD and "
        "decoupled decay, by the third root of lr² · weight_decay under a coupled Adam "
        "or RMSprop; under a trust ratio (LAMB) by the lr, whatever the decay is.",
        found="By the order of declaration: a layer right before a normalization of "
        "its size. With an example batch exactly: the normalization reads the layer's "
        "output, and nothing else does. And weights under weight_norm.",
        write="Nothing is wrong. When the lr changes, keep the rotation: the finding "
        "has the number for twice the lr.",
        source="van Laarhoven 2017 (arXiv 1706.05350); Kosson et al. 2024 (2305.17212)",
    ),
    Code(
        code="DW018",
        severity="error",
        title="an lr_scale that nothing applies",
        why="timm's layer decay writes lr_scale into the groups and leaves it to "
        "timm's own scheduler. With a scheduler of torch, or none, all layers get the "
        "full lr and the full decay.",
        found="A group with lr_scale, under a scheduler that is not timm's, whose lr "
        "is that of the other groups.",
        write="Use a scheduler of timm, or multiply: for group in "
        'optimizer.param_groups: group["lr"] *= group.get("lr_scale", 1.0), before the '
        "scheduler is built.",
        source="timm 1.0.31, timm/scheduler/scheduler.py",
    ),
    Code(
        code="DW019",
        severity="warning",
        title="the class promises another decay than it does",
        why="Names lie: Adam of bitsandbytes, DeepSpeed and apex decays like AdamW. A "
        "weight_decay tuned for the one is off by orders of magnitude in the other.",
        found="A copy of the optimizer steps an undriven weight; what it does is "
        "compared with what torch's class of that name does.",
        write="Name what you mean: AdamW for decoupled decay, torch.optim.Adam for L2.",
        source="bitsandbytes 0.50.2, backends/default/ops.py; deepspeed 0.19.8, "
        "runtime/engine.py",
    ),
    Code(
        code="DW022",
        severity="warning",
        title="a frozen parameter decays",
        why="Frozen should mean unchanged. Optimizers of torch skip a parameter whose "
        "gradient is None, but one whose gradient is zero decays, and some optimizers "
        "fill in zeros themselves.",
        found="A parameter with requires_grad=False in a group that decays, with a "
        "gradient left over or under an optimizer that fills in zeros.",
        write="Keep frozen parameters out: [p for p in model.parameters() if "
        "p.requires_grad].",
        source="KellerJordan/Muon@857d1ad, muon.py, and its issue 54",
    ),
    Code(
        code="DW029",
        severity="error",
        title="a scheduler of another optimizer",
        why="A scheduler sets the lr of the optimizer that it was built with. If the "
        "optimizer was built again afterwards, the lr of the new one never changes, "
        "and each step decays as at the peak.",
        found="By the optimizer that the scheduler holds.",
        write="Build the scheduler last: optimizer = ...; scheduler = "
        "CosineAnnealingLR(optimizer, ...).",
        source="torch 2.13.0, torch/optim/lr_scheduler.py",
    ),
    Code(
        code="DW040",
        severity="warning",
        title="weights that the decay does not reach",
        why="A number that is typed at the optimizer, or in a config that never gets "
        "there, decays only what its groups say: groups made by parts of names spare "
        'denorm_proj.weight with "norm", the wrong way round they decay the biases '
        "alone, and a group without a weight_decay takes the default of the class.",
        found="Weights that decay_groups would let decay, in groups that do not while "
        "others do: a warning where no weight decays, a note where a part does not. "
        "With the number that was meant (--weight-decay) all weights that have "
        "another.",
        write="The number in the groups of these weights; the finding has the line.",
        source="axolotl issue 4010, llama-cookbook issue 191, BalancingGroups issue 6",
    ),
    Code(
        code="DW041",
        severity="note",
        title="an eps as large as a weight decay",
        why="torch.optim.Adam(params, 1e-3, (0.9, 0.999), 0.01) sets eps, the fourth "
        "argument, and no weight_decay: nothing decays, and an eps of 0.01 swamps the "
        "gradients that Adam divides by.",
        found="An eps of 1e-4 to 1 in a class whose default is smaller, with "
        "weight_decay, its next argument, at 0 or at its default. Some recipes have "
        "such an eps on purpose.",
        write="Name the argument that is meant: weight_decay=0.01.",
        source="jolibrain/joliGEN pull request 555; torch 2.13.0, torch/optim/adam.py",
    ),
)

"""Practice: what published recipes do as a matter of course, which is no warning.

Recipes are of a kind: a network, trained from scratch or on from weights that were
trained before, by a kind of optimizer. Whoever decays as those of his kind do has made
no mistake that an audit could know of.
"""

from collections.abc import Iterable

from torch import nn
from torch.nn.modules.conv import _ConvNd

from dwindle.audit.recipes import is_a_training, is_within_practice, recipes_like
from dwindle.audit.setting_findings import is_as_good_as_none
from dwindle.decay.families import SGD
from dwindle.decay.run import Run
from dwindle.pytorch.checks.group import Group

# In the class names of all libraries, also of their kernels.
_ATTENTION = "Attention"
# A convolution whose patches do not overlap, as vision transformers begin with.
_SMALLEST_PATCH = 4
CONVOLUTIONAL, RECURRENT = "convolutional network", "recurrent language model"


def network_of(model: nn.Module) -> str | None:
    """Return what kind of network a model is; None where its layers do not tell.

    Example:
        >>> network_of(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)))
        'convolutional network'
        >>> network_of(nn.Linear(2, 2))

    """
    modules = list(model.modules())
    convolutions = [each for each in modules if isinstance(each, _ConvNd)]
    attends = any(_ATTENTION in type(each).__name__ for each in modules)
    embeds = any(isinstance(each, nn.Embedding) for each in modules)
    if convolutions and not embeds:
        if not attends:
            return CONVOLUTIONAL
        sizes = [{*each.kernel_size, *each.stride} for each in convolutions]
        patches = any(len(each) == 1 and min(each) >= _SMALLEST_PATCH for each in sizes)
        return "vision transformer" if patches else None
    if convolutions:
        return None
    if any(isinstance(each, nn.RNNBase) for each in modules):
        return RECURRENT
    return "language model" if embeds and attends else None


def is_comparable(model: nn.Module, groups: Iterable[Group]) -> bool:
    """Return whether a model does what those of recipes do, trained from scratch.

    Frozen parameters, and layers with an lr each under one weight decay, say that it
    goes on from trained weights; no Linear, that it classifies and predicts nothing.
    """
    lrs: dict[tuple[int, float], set[float]] = {}
    for group in groups:
        if group.knob and group.held:
            lrs.setdefault((id(group.optimizer), group.knob), set()).add(group.lr)
    several = any(len(each) > 1 for each in lrs.values())
    trains_all = all(each.requires_grad for each in model.parameters())
    has_head = any(isinstance(each, nn.Linear) for each in model.modules())
    return trains_all and has_head and not several


def decays_like_recipes(groups: Iterable[Group], network: str | None, run: Run) -> bool:
    """Return whether decayed biases and norms are usual in all of some groups.

    Networks that SGD trains from scratch decay all that they have, as those of He et
    al. 2016; and where a run leaves nearly all of a weight, a bias hardly decays.
    """
    alike = recipes_like(SGD.name, network)
    for group in groups:
        told = group.judged.explanation if group.judged else None
        if told is not None and told.e_folds is not None and is_as_good_as_none(told):
            continue
        # Recurrent networks are seldom trained on from others, and at any lr.
        is_new = network == RECURRENT or is_a_training(group.run(run), alike)
        if not (group.is_sgd and is_new):
            return False
    return True


def decays_as_little(
    group: Group, judged: Iterable[Group], network: str | None
) -> bool:
    """Return whether a long half-life is usual: in a recipe, or in a lower layer.

    Layer-wise lrs stretch the half-life of the first layers on purpose; where the layer
    with the highest lr decays within the run, a note on the lrs is enough.
    """
    if group.judged is None:
        return False
    told = group.judged.explanation
    if is_within_practice(told, network):
        return True
    fastest, found = max(
        (
            (other.lr, other.judged.findings)
            for other in judged
            if other.judged
            and other.optimizer is group.optimizer
            and other.judged.explanation.value == told.value
        ),
        key=lambda other: other[0],
    )
    return fastest > group.lr and all(each.code != "DW010" for each in found)


def is_usual_coupling(group: Group, network: str | None) -> bool:
    """Return whether L2 through an adaptive optimizer is what recipes of a kind do.

    MobileNets and EfficientNets were tuned with RMSprop and an L2 of 1e-5 or 4e-5.
    """
    classes = [cls.__name__ for cls in type(group.optimizer).__mro__]
    return network == CONVOLUTIONAL and any("RMSprop" in name for name in classes)

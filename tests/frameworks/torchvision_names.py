"""The few names of torchvision that timm's models import, for where it has no build.

torchvision comes with CUDA or not at all, and timm imports it with its models: for data
sets, transforms of images and one frozen norm, none of which a model without pretrained
weights uses. Only these names are there, so that any other import fails as it should.
"""

import enum
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from torch import nn


class InterpolationMode(enum.Enum):
    """Ways to resize an image; timm makes a table of them."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


_DATA_SETS = ("CIFAR10", "CIFAR100", "FashionMNIST", "ImageFolder", "KMNIST", "MNIST")
# timm derives a class from it.
_BASES = ("ToTensor",)
NAMES: dict[str, dict[str, Any]] = {
    "torchvision": {},
    "torchvision.datasets": dict.fromkeys(_DATA_SETS),
    "torchvision.ops": {},
    "torchvision.ops.misc": {"FrozenBatchNorm2d": nn.Identity},
    "torchvision.transforms": dict.fromkeys(_BASES, nn.Module),
    "torchvision.transforms.functional": {"InterpolationMode": InterpolationMode},
}


@contextmanager
def torchvision_names() -> Iterator[None]:
    """Let ``import timm.models`` work; afterwards there is no torchvision again."""
    for name, attributes in NAMES.items():
        module = ModuleType(name)
        module.__path__ = []  # a package, whose other modules do not exist
        vars(module).update(attributes)
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
    try:
        yield
    finally:
        for name in NAMES:
            del sys.modules[name]

"""Where a library is not installed, and how many examples a pass has."""

import importlib
import sys
from types import SimpleNamespace

import pytest
from torch.utils.data import DataLoader

from dwindle.errors import MissingLibraryError, RefusedError
from dwindle.integrations import (
    find_with_keras,
    find_with_lightning,
    find_with_trainer,
)
from dwindle.integrations.accelerate import facts_of_loader, hold_decay
from dwindle.integrations.torch_loops import (
    examples_of_a_pass,
    refuse_deepspeed,
)

# module: libraries that would do, which are blocked, and what pip installs
NEEDED = {
    "transformers": (("transformers",), "transformers"),
    "lightning": (("lightning", "lightning.pytorch", "pytorch_lightning"), "lightning"),
    "optax": (("jax",), "optax"),
    "keras": (("keras",), "keras"),
    "keras_layers": (("keras",), "keras"),
    "estimators": (("sklearn",), "sklearn"),
}


@pytest.mark.parametrize("name", NEEDED)
def test_an_absent_library_gives_the_install_line(name, monkeypatch):
    """The error of an import without the library names what to install."""
    libraries, extra = NEEDED[name]
    for library in libraries:
        monkeypatch.setitem(sys.modules, library, None)  # import finds it blocked
    monkeypatch.delitem(sys.modules, f"dwindle.integrations.{name}", raising=False)
    with pytest.raises(MissingLibraryError) as raised:
        importlib.import_module(f"dwindle.integrations.{name}")
    assert raised.value.extra == extra


def test_accelerate_is_imported_when_it_is_called(monkeypatch):
    """The function can be imported; the call names what to install."""
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(MissingLibraryError) as raised:
        hold_decay(SimpleNamespace(), SimpleNamespace(), "3 epochs")
    assert raised.value.extra == "accelerate"


# adapter: the extra that pip installs
ADAPTERS = {
    find_with_trainer: "transformers",
    find_with_lightning: "lightning",
    find_with_keras: "keras",
}


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda each: each.__name__)
def test_an_adapter_imports_its_library_when_it_is_called(adapter, monkeypatch):
    """It can be imported; the call names what to install, before anything is made."""
    for library in ("transformers", "lightning.pytorch", "pytorch_lightning", "keras"):
        monkeypatch.setitem(sys.modules, library, None)
    rest = {
        find_with_lightning: {"make_trainer": None},
        find_with_keras: {"fit": {}, "validation_data": ()},
    }
    with pytest.raises(MissingLibraryError) as raised:
        adapter(None, knob="torch.optim.SGD", low=1, high=2, **rest.get(adapter, {}))
    assert raised.value.extra == ADAPTERS[adapter]


@pytest.mark.parametrize("kind", ["DeepSpeedStrategy", "DistributedType.DEEPSPEED"])
def test_deepspeed_is_refused(kind):
    """A loop whose optimizer never touches the model's weights is refused."""
    with pytest.raises(RefusedError, match="DeepSpeed steps copies"):
        refuse_deepspeed(kind)


@pytest.mark.parametrize(
    ("batches", "dataset_size", "seen"),
    [
        (5, 20, 20),  # all of it
        (5, 17, 17),  # a short last batch
        (4, 17, 16),  # the short one is dropped
        (2, 20, 8),  # the pass is cut short
        (10, 20, 40),  # drawn with replacement, twice as often
        (5, None, 20),  # nobody knows the data
    ],
)
def test_a_pass_is_what_the_loop_sees(batches, dataset_size, seen):
    """The examples of an epoch are those that the batches hold."""
    size = examples_of_a_pass(batches=batches, batch_size=4, dataset_size=dataset_size)
    assert size == seen


@pytest.mark.parametrize(("split", "batch"), [(False, 8), (True, 4)])
def test_a_loader_that_is_shared_out_later(split, batch):
    """Before prepare, the batches of all processes are counted, unless they share."""
    accelerator = SimpleNamespace(
        num_processes=2, split_batches=split, gradient_accumulation_steps=1
    )
    loader = DataLoader(range(18), batch_size=4, drop_last=False)
    facts = facts_of_loader(accelerator, loader)
    assert (facts.batch_size, facts.dataset_size) == (batch, 18)

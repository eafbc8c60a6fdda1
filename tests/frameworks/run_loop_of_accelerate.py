"""A loop with Accelerate in particular: before prepare, and what a loader tells."""

import pytest
import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration
from frameworks.loops.net import BATCH, Asked, examples
from frameworks.loops.of_accelerate import train
from tolerance import digits
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler

from dwindle.errors import MissingFactError
from dwindle.integrations.accelerate import facts_of_loader, hold_decay

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("default")  # other people's libraries


@pytest.mark.parametrize("accumulation", [1, 2])
def test_held_before_prepare(accumulation, tmp_path):
    """What is held before the parts are prepared stays held, and knows as much."""
    asked = Asked(held_before_prepare=True, accumulation=accumulation)
    seen = train(asked, tmp_path)
    steps = {1: 10, 2: 6}[accumulation]
    assert seen.controller.half_life_steps == steps
    assert seen.kept == digits(seen.expected(steps), rel=1e-6)


@pytest.mark.parametrize("split", [False, True], ids=["own batches", "split batches"])
@pytest.mark.parametrize("prepared", [False, True], ids=["as it is", "prepared"])
def test_a_loader_tells_batch_and_epoch(split, prepared):
    """Prepared or not, a loader tells the same."""
    config = DataLoaderConfiguration(split_batches=split)
    accelerator = Accelerator(
        cpu=True, gradient_accumulation_steps=3, dataloader_config=config
    )
    loader = DataLoader(examples(18), batch_size=BATCH)
    if prepared:
        loader = accelerator.prepare(loader)
    facts = facts_of_loader(accelerator, loader)
    assert (facts.batch_size, facts.dataset_size) == (12, 18)


def test_a_loader_with_a_batch_sampler():
    """Where DataLoader.batch_size is None, its sampler knows."""
    data = examples()
    batches = BatchSampler(SequentialSampler(data), batch_size=5, drop_last=False)
    loader = DataLoader(data, batch_sampler=batches)
    facts = facts_of_loader(Accelerator(cpu=True), loader)
    assert (facts.batch_size, facts.dataset_size) == (5, 20)


def test_without_a_loader_the_epoch_is_asked_for():
    """Nothing is guessed."""
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(2, 2))])
    accelerator = Accelerator(cpu=True)
    with pytest.raises(MissingFactError, match=r"hold_decay\((batch|dataset)_size="):
        hold_decay(accelerator, optimizer, "3 epochs")

"""The small training in a custom loop with Accelerate."""

import math

from accelerate import Accelerator
from frameworks.loops.net import (
    BATCH,
    EPOCHS,
    Seen,
    data_of,
    factor,
    loss_scale,
    net,
    optimizer_of,
    recording,
)
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from dwindle.integrations.accelerate import hold_decay


def train(recipe, folder):
    """Train by a recipe; return what was seen."""
    accelerator = Accelerator(
        cpu=True,
        gradient_accumulation_steps=recipe.accumulation,
        mixed_precision="bf16" if recipe.bf16 else "no",
    )
    if recipe.scaler:  # what mixed_precision="fp16" makes on a GPU
        accelerator.scaler = loss_scale()
    model = net(recipe)
    optimizer = optimizer_of(recipe, model)
    lrs = recording(optimizer)
    scheduler = LambdaLR(optimizer, factor(recipe))
    loader = DataLoader(data_of(recipe), batch_size=BATCH, drop_last=recipe.drop_last)
    parts = model, optimizer, loader, scheduler
    if recipe.held_before_prepare:
        controller = _held(accelerator, recipe, parts)
    parts = model, optimizer, loader, scheduler = accelerator.prepare(*parts)
    if not recipe.held_before_prepare:
        controller = _held(accelerator, recipe, parts)
    at = _resume(accelerator, recipe, folder)
    for batch in _batches(accelerator, loader, at):
        with accelerator.accumulate(model):
            accelerator.backward(model(**batch)["loss"])
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
        if accelerator.sync_gradients:
            at += 1
            if at == recipe.save_at:
                accelerator.save_state(f"{folder}/at-{at}")
    return Seen(lrs=lrs, net=accelerator.unwrap_model(model), controller=controller)


def _held(accelerator, recipe, parts):
    _, optimizer, loader, scheduler = parts
    return hold_decay(
        accelerator,
        optimizer,
        half_life=recipe.half_life,
        dataloader=loader,
        scheduler=scheduler,
        schedule=recipe.schedule,
        **{"epochs": EPOCHS} | recipe.facts,
    )


def _resume(accelerator, recipe, folder):
    if not recipe.resume_from:
        return 0
    accelerator.load_state(f"{folder}/at-{recipe.resume_from}")
    return recipe.resume_from


def _batches(accelerator, loader, steps_done):
    """The batches that are left after so many steps; a stream is always begun."""
    each = accelerator.gradient_accumulation_steps
    length = _length(loader)
    steps = max(1, math.ceil(length / each))
    for epoch in range(EPOCHS):
        done = min(max(0, steps_done - epoch * steps) * each, length)
        yield from accelerator.skip_first_batches(loader, done)


def _length(loader):
    try:
        return len(loader)
    except TypeError:
        return 0

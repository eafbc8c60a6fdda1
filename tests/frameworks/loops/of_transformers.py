"""The small training under the Trainer of transformers."""

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
from transformers import Trainer, TrainingArguments

from dwindle.integrations.transformers import DecayCallback


def arguments(recipe, folder, **options):
    """Small, silent, on the CPU."""
    saving = {"save_strategy": "no"}
    if recipe.save_at:
        saving = {"save_strategy": "steps", "save_steps": recipe.save_at}
    usual = {
        "output_dir": str(folder),
        "per_device_train_batch_size": BATCH,
        "gradient_accumulation_steps": recipe.accumulation,
        "num_train_epochs": EPOCHS,
        "max_steps": 9 if recipe.stream else -1,
        "dataloader_drop_last": recipe.drop_last,
        "use_cpu": True,
        "bf16": recipe.bf16,
        "report_to": [],
        "disable_tqdm": True,
        "logging_strategy": "no",
        "remove_unused_columns": False,
        "max_grad_norm": 0.0 if recipe.scaler else 1.0,
    }
    return TrainingArguments(**usual | saving | options)


def train(recipe, folder):
    """Train by a recipe; return what was seen."""
    model = net(recipe)
    optimizer = optimizer_of(recipe, model)
    scheduler = LambdaLR(optimizer, factor(recipe))
    lrs = recording(optimizer)
    wish = {"half_life": recipe.half_life, "schedule": recipe.schedule}
    callback = DecayCallback(**wish | recipe.facts)
    trainer = Trainer(
        model=model,
        args=arguments(recipe, folder),
        train_dataset=data_of(recipe),
        optimizers=(optimizer, scheduler),
        callbacks=[callback],
    )
    if recipe.scaler:  # what mixed_precision="fp16" makes on a GPU
        trainer.accelerator.scaler = loss_scale()
    resume = recipe.resume_from and f"{folder}/checkpoint-{recipe.resume_from}"
    trainer.train(resume_from_checkpoint=resume)
    return Seen(lrs=lrs, net=model, controller=callback.controller)

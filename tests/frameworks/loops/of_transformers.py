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


def arguments(asked, folder, **options):
    """Small, silent, on the CPU."""
    saving = {"save_strategy": "no"}
    if asked.save_at:
        saving = {"save_strategy": "steps", "save_steps": asked.save_at}
    usual = {
        "output_dir": str(folder),
        "per_device_train_batch_size": BATCH,
        "gradient_accumulation_steps": asked.accumulation,
        "num_train_epochs": EPOCHS,
        "max_steps": 9 if asked.stream else -1,
        "dataloader_drop_last": asked.drop_last,
        "use_cpu": True,
        "bf16": asked.bf16,
        "report_to": [],
        "disable_tqdm": True,
        "logging_strategy": "no",
        "remove_unused_columns": False,
        "max_grad_norm": 0.0 if asked.scaler else 1.0,
    }
    return TrainingArguments(**usual | saving | options)


def train(asked, folder):
    """Train as asked, and tell what was seen."""
    model = net(asked)
    optimizer = optimizer_of(asked, model)
    scheduler = LambdaLR(optimizer, factor(asked))
    lrs = recording(optimizer)
    wish = {"half_life": asked.half_life, "schedule": asked.schedule}
    callback = DecayCallback(**wish | asked.facts)
    trainer = Trainer(
        model=model,
        args=arguments(asked, folder),
        train_dataset=data_of(asked),
        optimizers=(optimizer, scheduler),
        callbacks=[callback],
    )
    if asked.scaler:  # what mixed_precision="fp16" makes on a GPU
        trainer.accelerator.scaler = loss_scale()
    resume = asked.resume_from and f"{folder}/checkpoint-{asked.resume_from}"
    trainer.train(resume_from_checkpoint=resume)
    return Seen(lrs=lrs, net=model, controller=callback.controller)

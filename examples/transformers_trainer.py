"""A half-life in the Trainer of transformers: one callback."""

import math
import tempfile

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

from dwindle.integrations.transformers import DecayCallback
from dwindle.pytorch import decay_groups

# Sequences that count modulo 10 from some number on, in steps of 1, 2 or 3.
data = [
    {"input_ids": (tokens := (start + step * torch.arange(16)) % 10), "labels": tokens}
    for start in range(10)
    for step in (1, 2, 3)
    for _ in range(8)
]
torch.manual_seed(0)
size = {"n_layer": 2, "n_head": 2, "n_embd": 32, "vocab_size": 10, "n_positions": 16}
model = GPT2LMHeadModel(GPT2Config(**size, bos_token_id=0, eos_token_id=0))

with tempfile.TemporaryDirectory() as folder:
    args = TrainingArguments(
        output_dir=folder,
        num_train_epochs=4,
        per_device_train_batch_size=8,
        gradient_accumulation_steps=2,
        learning_rate=3e-3,
        lr_scheduler_type="cosine",
        warmup_steps=6,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        logging_strategy="epoch",
        disable_tqdm=True,
    )
    # Without this optimizer the Trainer makes its own groups: embeddings decay too.
    optimizer = torch.optim.AdamW(decay_groups(model), lr=args.learning_rate)
    hold = DecayCallback(half_life="2 epochs")
    trainer = Trainer(
        model, args, train_dataset=data, optimizers=(optimizer, None), callbacks=[hold]
    )
    trainer.train()

print(hold.controller)
kept = math.exp(-hold.controller.e_folds[0])
print(f"A weight without gradient has kept {kept:.1%} over 4 epochs.")

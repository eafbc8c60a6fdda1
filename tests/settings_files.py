"""Settings files of trainers, as people have them."""

ULTRALYTICS = """\
epochs: 100
batch: {batch}
optimizer: SGD
lr0: 0.01
lrf: 0.01
momentum: 0.937
weight_decay: 0.0005
warmup_epochs: 3.0
nbs: 64
"""
FOUNDRY = """\
optimizer: {name: decoupled_adamw, lr: 6.0e-4, betas: [0.9, 0.95], weight_decay: 0.1}
scheduler: {name: cosine_with_warmup, t_warmup: 100ba, alpha_f: 0.1}
max_duration: 4800ba
global_train_batch_size: 256
"""
TIMM = "opt: adamw\nlr: 0.001\nweight_decay: 0.05\nsched: cosine\nbatch_size: 256\n"
HYDRA = "_target_: torch.optim.AdamW\nlr: 0.001\nweight_decay: 0.05\n"
AXOLOTL = """\
micro_batch_size: 2
gradient_accumulation_steps: 4
num_epochs: 4
optimizer: adamw_bnb_8bit
lr_scheduler: cosine
learning_rate: 2e-4
weight_decay: 0.1
"""
KOHYA = """\
learning_rate = 1e-4
lr_scheduler = "constant"
optimizer_type = "AdamW8bit"
optimizer_args = ["weight_decay=0.1", "betas=0.9,0.99"]
train_batch_size = 2
max_train_steps = 1500
"""
DEEPSPEED = {
    "train_batch_size": 256,
    "optimizer": {"type": "Adam", "params": {"lr": 1e-4, "weight_decay": 0.01}},
    "scheduler": {"type": "WarmupDecayLR", "params": {"total_num_steps": 10000}},
}
DIFFUSERS = {
    "learning_rate": 1e-5,
    "adam_weight_decay": 0.01,
    "train_batch_size": 16,
    "gradient_accumulation_steps": 4,
    "max_train_steps": 15000,
    "lr_scheduler": "constant",
}
NEMO = """\
trainer: {max_steps: 1000}
model:
  global_batch_size: 256
  optim:
    name: distributed_fused_adam
    lr: 2e-4
    weight_decay: 0.01
    sched: {name: CosineAnnealing, warmup_steps: 500, min_lr: 2e-5}
"""
LITGPT = """\
optimizer:
  class_path: torch.optim.AdamW
  init_args: {lr: 4e-4, weight_decay: 1e-1, betas: [0.9, 0.95]}
train: {global_batch_size: 512, max_tokens: 1048576000, max_seq_length: 2048}
"""
LITGPT_OLD = """\
train: {global_batch_size: 512, learning_rate: 4e-4, weight_decay: 1e-1}
"""
DETECTRON = "SOLVER: {BASE_LR: 0.02, WEIGHT_DECAY: 0.0001, IMS_PER_BATCH: 16}\n"
TORCHTUNE = """\
batch_size: 2
gradient_accumulation_steps: 8
epochs: 3
optimizer: {_component_: torch.optim.AdamW, lr: 2e-5, weight_decay: 0.01}
dtype: bf16
"""
LIGHTNING = """\
trainer: {max_epochs: 90, accumulate_grad_batches: 4, precision: bf16-mixed}
optimizer:
  class_path: torch.optim.AdamW
  init_args: {lr: 0.001, weight_decay: 0.05}
data: {init_args: {batch_size: 256}}
"""
KERAS = {
    "class_name": "AdamW",
    "config": {"learning_rate": 0.001, "weight_decay": 0.004, "beta_1": 0.9},
}
WANDB = """\
wandb_version: 1
_wandb: {desc: null, value: {python_version: 3.11.0}}
learning_rate: {desc: null, value: 5.0e-05}
weight_decay: {desc: null, value: 0.01}
num_train_epochs: {desc: null, value: 3}
per_device_train_batch_size: {desc: null, value: 8}
"""

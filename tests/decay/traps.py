"""Settings, pairs and refusals that have remarks, for their codes and texts."""

from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule

COSINE = Schedule(shape="cosine")
ADAMW, SGD = "torch.optim.AdamW", "torch.optim.SGD"

# By the code of the remark, and a distinction: number, knob, facts beside lr 0.1.
TRAPS = {
    "oscillation": (0.5, SGD, {"momentum": 0.9}),
    "coupled-adaptive": (0.1, "torch.optim.Adam", {}),
    "coupled-adaptive Adagrad": (0.1, "torch.optim.Adagrad", {}),
    "trust-ratio": (0.1, "optax.lamb", {}),
    "trust-ratio LARS": (0.1, "timm.lars", {}),
    "schedule-free": (0.1, "schedulefree.AdamWScheduleFree", {}),
    "estimated-lr": (0.1, "pytorch_optimizer.Prodigy", {}),
    "optimal-schedule": (0.1, "SGDClassifier", {}),
    "rebuilt-weights": (0.1, "keras.optimizers.Ftrl", {}),
    # ln 2/(1e-3·0.1·10) runs.
    "longer-than-the-run": (1e-3, ADAMW, {"steps": 10}),
    "shorter-than-an-epoch": (9.0, ADAMW, {"epochs": 5}),
    # Half a unit below 1 is 2^-9 in bfloat16, 2^-25 in float32; 5e-3 is 2.56 of them.
    "dead-zone": (0.01, ADAMW, {"dtype": "bfloat16"}),
    "dead-zone float32": (1e-7, ADAMW, {}),
    "rounding": (0.05, ADAMW, {"dtype": "bfloat16"}),
    "stalls": (0.025, ADAMW, {"dtype": "bfloat16"}),
    "fading-decay": (0.1, ADAMW, {"schedule": COSINE}),
    # A cosine is below 2^-9/(0.1·1) for acos(1 - 2·0.0195)/π of the run, 8.9 %.
    "late-dead-zone": (1.0, ADAMW, {"schedule": COSINE, "dtype": "bfloat16"}),
    "second-decay": (0.01, "ASGD", {}),
    "falling-step": (0.01, "ASGD:lambd", {}),
    "impossible": (30.0, ADAMW, {}),
    "impossible underflow": (10.0, SGD, {"lr": 1e-300}),
    "growth": (1e9, ADAMW, {"steps": 1000}),
    "swing": (0.1, SGD, {"momentum": 0.9, "steps": 100}),
    "nothing-left": (10.0, ADAMW, {"steps": 10}),
    "no-decay": (0, ADAMW, {}),
    "no-lr": (0.1, ADAMW, {"lr": 0.0}),
    "no-optimizer": (1e-3, "question.l2", {}),
    "no-optimizer rate": (1e-3, "shrink", {}),
    "no-penalty": (0.1, ADAMW, {}),
    "per-layer": (0.1, "question.l2:layer-mean", {}),
    "no-equilibrium": (0.1, "torch.Muon", {}),
    "no-equilibrium short run": (5e-4, SGD, {"steps": 300}),
    "equilibrium-noise": (5e-4, SGD, {"steps": 10**5, "schedule": COSINE}),
    "unused-fact": (0.1, ADAMW, {"momentum": 0.9}),
    "unused-fact Adam": (0.1, "torch.optim.Adam", {"momentum": 0.9}),
    "own-rule": (0.1, "optimi.StableAdamW", {}),
    "own-rule width": (0.1, "mup.MuAdamW", {}),
    "approximate": (0.1, "torch.optim.Adam", {"gradient_rms": 0.5}),
    "library-default": (0.1, SGD, {}),
    "library-default schedule": (0.1, "transformers.TrainingArguments", {}),
    "first-step": (5e-4, "optimi.SGD", {"momentum": 0.9, "dampening": 0.9}),
    "missing-fact": (0.1, ADAMW, {}),
    "missing-fact lr": (0.1, ADAMW, {"lr": None}),
}


def run_of(facts):
    """The run of a trap: with an epoch, unless it has a length."""
    size = {} if "steps" in facts else {"batch_size": 10, "dataset_size": 100}
    return Run(**({"lr": 0.1} | size | facts))


FLAT = Run(lr=0.05, momentum=0.9, batch_size=20, dataset_size=600, epochs=10)
WHOLE = Run(
    lr=0.01,
    schedule=Schedule(shape="cosine", warmup=0.05),
    momentum=0.9,
    batch_size=20,
    dataset_size=600,
    epochs=10,
)
PLAIN = Run(lr=0.01)
BRAIN, HALF = (Run(lr=0.05, dtype=each) for each in ("bfloat16", "float16"))
LONG, LONGER = (
    Run(lr=lr, momentum=0.9, steps=steps, schedule="cosine")
    for lr, steps in ((0.1, 1000), (0.2, 2000))
)
DAMPED = Run(lr=0.1, momentum=0.9, dampening=0.9)

# Number, source, target, run, and of the other side too, where it differs.
PAIRS = [
    (0.01, SGD, ADAMW, FLAT),
    (0.01, ADAMW, "half-life", WHOLE),
    (0.01, ADAMW, "bergsma2025.tau", WHOLE),
    (1, "bengio2012.l2", SGD, FLAT),
    (1, "sigma", SGD, FLAT),
    (1, "answer.batch-sum", SGD, FLAT),
    (1, "question.l2", "torch.optim.Adam", FLAT),
    (1e-3, "ASGD", "half-life", FLAT),
    (1, "LogisticRegression", SGD, FLAT),
    (0.01, ADAMW, "timm.adamw", PLAIN),
    (0.01, ADAMW, "optax.adamw", PLAIN),
    (0.01, ADAMW, "transformers.TrainingArguments", PLAIN),
    (0.01, SGD, "timm.sgdw", PLAIN),
    (0.5, "sklearn.ElasticNet", SGD, PLAIN),
    (0.01, ADAMW, "optax.lion", PLAIN),
    (0.01, ADAMW, "optimi.StableAdamW", PLAIN),
    (0.01, "mup.MuAdamW", ADAMW, PLAIN),
    (0.01, "bitsandbytes.optim.AdamW", ADAMW, PLAIN),
    (0.01, "optax.lamb", "timm.lamb", PLAIN),
    (0.01, "pytorch_optimizer.Prodigy", "optax.contrib.prodigy", PLAIN),
    (0.01, "timm.lars", SGD, PLAIN),
    (0.1, ADAMW, "timm.adamc", Run(lr=1e-3, schedule=COSINE)),
    (2e-4, SGD, ADAMW, Run(lr=0.01), Run(lr=1e-3, schedule=COSINE)),
    (5e-4, SGD, SGD, Run(lr=0.1), Run(lr=0.2)),
    (5e-4, SGD, ADAMW, LONG, LONGER),
    (1.0, ADAMW, "timm.adamc", LONG, LONGER),
    (5e-4, SGD, "optimi.SGD", DAMPED),
    (0.5, ADAMW, "optimi.AdamW", Run(lr=0.5, dtype="bfloat16")),
    (0.1, ADAMW, SGD, BRAIN, HALF),
    (5e-4, "keras.L2", SGD, BRAIN),
    (1e-4, "torch.optim.Adam", ADAMW, Run(lr=1e-3, gradient_rms=0.01)),
]

# The same, each of which is refused.
REFUSED = [
    (1e-3, "question.l2", ADAMW, Run(lr=1e-3)),
    (1e-4, "keras.L2", ADAMW, Run()),
    (0.01, "shrink", "keras.L2", Run()),
    (0.1, ADAMW, "keras.L2", Run(lr=1e-3, momentum=0.9), Run(lr=0.01, momentum=0.9)),
    (0.1, "torch.optim.Adam", "half-life", Run(lr=0.1)),
    (0.1, "torch.optim.Adadelta", "shrink", Run(lr=0.1)),
    (0.1, "bitsandbytes.optim.Adagrad", "shrink", Run(lr=0.1)),
    (0.1, "torch.optim.RAdam", "shrink", Run(lr=0.1)),
    (0.1, "torch.optim.RMSprop", "shrink", Run(lr=0.1)),
    (0.1, "pytorch_optimizer.AdEMAMix", "shrink", Run(lr=0.1)),
    (0.1, "timm.lars", "shrink", Run(lr=0.1)),
    (0.1, "optax.lamb", "shrink", Run(lr=0.1)),
    (0, SGD, "gaussian-prior.sigma", Run(dataset_size=10)),
    (0.1, ADAMW, "shrink", Run()),
    (0.1, SGD, "shrink", Run()),
    (0.1, "shrink", "half-life:run", Run()),
    (1, "bengio2012.l2", SGD, Run()),
    (1, "question.l2:layer-mean", SGD, Run()),
    (20, ADAMW, "half-life:steps", Run(lr=0.1)),
    (1e-300, "sigma", SGD, Run(dataset_size=9)),
    (1e-5, "question.l2", "ASGD", Run()),
    (0.5, SGD, "half-life", Run(lr=0.1, momentum=0.9)),
    (1, "question.l2:layer-mean", SGD, Run(units=(3, 4, 5)), Run(units=(3, 5))),
    (0.1, ADAMW, SGD, Run(lr=0.1), Run(lr=0.0)),
]

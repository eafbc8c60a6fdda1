"""A folder with programs of somebody's own, sound ones and broken ones."""

import json
import textwrap

SOUND = {
    "learning_rate": 1e-3,
    "weight_decay": 0.05,
    "per_device_train_batch_size": 128,
    "num_train_epochs": 30,
}
TRAIN = """
    import torch
    from torch.optim import lr_scheduler

    def make(weight_decay=0.1, lr=1e-3):
        print("built")
        torch.manual_seed(0)
        model = torch.nn.Linear(4, 2, bias=False)
        options = {"lr": lr, "weight_decay": weight_decay}
        return model, torch.optim.AdamW(model.parameters(), **options)

    def biased():
        model = torch.nn.Linear(4, 2)
        return {"model": model, "optimizer": torch.optim.SGD(model.parameters(),
                lr=0.1, weight_decay=1e-4), "example": torch.ones(1, 4)}

    def step():
        model, optimizer = make()
        return model, optimizer, lr_scheduler.StepLR(optimizer, 10, 0.1)

    def cosine():
        model, optimizer = make()
        return model, optimizer, lr_scheduler.CosineAnnealingLR(optimizer, 30)

    def plateau():
        model, optimizer = make()
        return model, optimizer, lr_scheduler.ReduceLROnPlateau(optimizer)

    def another():
        model, optimizer = make()
        return model, optimizer, lr_scheduler.StepLR(make()[1], 10)

    def larger():
        return make(lr=4e-3)

    def raises():
        raise KeyError("first line\\nno such key")

    def deep():
        return torch.optim.SGD([torch.zeros(1)], lr=-1)

    def leaves():
        raise SystemExit(3)

    def wants(path):
        return path

    def number():
        return 3

    def nothing():
        pass

    def one():
        return (make()[0],)

    def swapped():
        return make()[::-1]

    def half():
        return {"model": make()[0]}

    value = 3.5
"""
MODELS = """
    import torch

    class Net(torch.nn.Linear):
        def __init__(self):
            super().__init__(2, 2)

    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    def build():
        return net, optimizer
"""
SEARCHED = """
    import math

    def train(weight_decay, seed):
        x = math.log(weight_decay / 0.05) if weight_decay else 3.0
        return math.exp(0.02 * x * x + 0.1 * math.sin(seed))

    def without(seed):
        return 1.0

    number = 3
"""
FILES = {
    "mine.py": textwrap.dedent(SEARCHED),
    "train_it.py": textwrap.dedent(TRAIN),
    "models_it.py": textwrap.dedent(MODELS),
    "broken_it.py": "1 / 0\n",
    "syntax_it.py": "import sys\nsys.exit(\n",
    "imports_it.py": "import no_such_library\n",
    "leaves_it.py": "import sys\nsys.exit('usage: ...')\n",
    "args.json": json.dumps(SOUND),
    "new.yaml": "learning_rate: 0.002\nweight_decay: 0.05\n",
}
MODULES = [name.removesuffix(".py") for name in FILES if name.endswith(".py")]


def write_programs(folder):
    for name, text in FILES.items():
        (folder / name).write_text(text)


# Lines after ``dwindle audit`` that are exit code 2.
WRONG = """
    | train_it.py | train_it | train_that.py | broken_it.py | models_it:net
    | models_it:Net | models_it:optimizer | args.json --weight-decay 0.1
    | train_it:make --weight-decay -0.1 | out/training_args.bin | : | train_it.py:make
    | train_ti:make | no.such.module:make | train_it:mak | train_it:make.nothing
    | train_it:value | train_it:wants | train_it:raises | train_it:deep | syntax_it:make
    | args.json --select DW001 DW002 | --ignore DW001, dw01 args.json | train_it:leaves
    | train_it:number | train_it:nothing | train_it:one | train_it:swapped
    | train_it:half | broken_it:make | imports_it:make | leaves_it:make | absent.json
    | args.json train_it:make | train_it:make --world-size 2 | args.json --world-size 0
    | args.json --select DW999 | --explain DW9 | args.json --ignore DW001,X
    | args.json --sekect DW001 | args.json --dtype int8 | run.sh
    | train_it:step --scheduler-every epochs | train_it:step --scheduler-every 0
    | train_it:step --scheduler-every -1 | train_it:step --scheduler-every 1.5
    | args.json --scheduler-every epoch | syntax_it.py | builtins:getattr
"""
WRONG_LINES = [each.strip() for each in WRONG.split("|")]

"""A good study file, and mistakes of every kind with the lines that they are at.

Shared by the test of lines and keys and by the snapshot of texts.
"""

GOOD = """\
[study]
problem = "digits-mlp"
seeds = 5
[optimizer]
name = "sgd"            # sgd | adamw | adam
lr = 0.05
momentum = 0.9
schedule = "cosine"
warmup = 0.05
[base]
width = 64
depth = 2
batch_size = 32
dataset_size = 600
epochs = 30
[weight_decay]
normalization = "none"
low = 1e-5
high = 1e-1
points = 13
[axes]
width = [16, 32, 64, 128, 256]
batch_size = { values = [8, 16, 32], lr = "sqrt", hold = "steps" }
dataset_size = { values = [150, 300, 600, 1200], hold = "epochs" }
"""

# (text of GOOD, what stands there instead) -> the lines where mistakes are reported.
CHANGES = {
    ("digits-mlp", "digit-mlp"): [2],
    ("seeds = 5", "seed = 5"): [3],
    ("seeds = 5", f"seeds = {'9' * 400}"): [3],
    ("seeds = 5", "seeds = 1_000_000_000_000"): [3],
    ("seeds = 5", "seeds = 9999"): [3],  # with the others, too many trainings
    ('"sgd"', '"sdg"'): [5],
    ("lr = 0.05", "lr = -1"): [6],
    ("lr = 0.05", "lr = inf"): [6],
    ("lr = 0.05", "lr = nan"): [6],
    ("lr = 0.05", "lr = 1e-300"): [6],
    ("lr = 0.05", 'lr = "0.05"'): [6],
    ("lr = 0.05", "lr = 0,05"): [6],
    ("momentum = 0.9", "momentum = 1.0"): [7],
    ("momentum = 0.9", "nesterov = true"): [7],
    ("momentum = 0.9", "nesterov = 1"): [7],
    ("momentum = 0.9", "eps = 1e-8"): [7],
    ('"sgd"', '"adamw"'): [7],
    ('"sgd"  ', '"adamw"\nbetas = [0.9]\n#'): [6, 9],
    ('"sgd"  ', '"adamw"\nbetas = [0.9, 0.99, 0.999]\n#'): [6, 9],
    ('"sgd"  ', '"adamw"\nbetas = 0.9\n#'): [6, 9],
    ('"sgd"  ', '"adamw"\nbetas = ["a", 1.0]\n#'): [6, 9],
    ('"cosine"', '"cosin"'): [8],
    ('"cosine"', '"constant"\nfinal_lr = 0.1'): [9],
    ('"cosine"\nwarmup = 0.05', '"wsd"\nwarmup = 0.9'): [9],
    ("depth = 2", ""): [10],
    ("width = 64", 'width = "64"'): [11],
    ("width = 64", f"width = {'9' * 400}"): [11],
    ("size = 32", "size = 601"): [13],
    ("dataset_size = 600", "dataset_size = -5"): [14],
    ("dataset_size = 600", "dataset_size = 5000"): [14],
    ("epochs = 30", "epochs = 0"): [15],
    ("epochs = 30", "epochs = 1e300"): [15],
    ('"none"', '"layermean"'): [17],
    ("low = 1e-5", "low = 1"): [18],
    ("low = 1e-5", "low = 1e-300"): [18],
    ("low = 1e-5", "low = 0.099999999999999"): [20],
    ("high = 1e-1", "high = 1e308"): [19],
    ("points = 13", "points = 1"): [20],
    ("points = 13", "points = 100_000_000"): [20],
    ("[axes]", "[axis]"): [21],
    ("[16, 32, 64,", "[16, 0, 64,"): [22],
    ("[16, 32, 64, 128, 256]", "[16, 16]"): [22],
    ("[16, 32, 64, 128, 256]", "[]"): [22],
    ("[16, 32, 64, 128, 256]", "16"): [22],
    ("width = [", "widht = ["): [22],
    ("width = [", "depth = [0.5, "): [22],
    ('"sqrt"', '"squared"'): [23],
    ('hold = "steps"', "hlod = 1"): [23],
    ("[8, 16, 32]", "[8, 16, 601]"): [23],
    ("1200]", "1300]"): [24],
    ("1200]", "10]"): [24],
    (GOOD[GOOD.index("[axes]") :], ""): [1],
    (GOOD[GOOD.index("[axes]") :], "[axes]\nepochs = [1, 1.01, 2]"): [22],
    (GOOD, ""): [1, 1, 1, 1, 1],
    (GOOD, "study = 5\n"): [1, 1, 1, 1, 1],
}


def changed(old, new, text=GOOD):
    assert old in text
    return text.replace(old, new, 1)

"""The codes of one setting: a knob, its number, and the run that it is typed into."""

from dwindle.audit.code import Code

_ADAPTIVE = "torch 2.13.0, torch/optim/adam.py; Loshchilov & Hutter 2019 (1711.05101)"

SETTING_CODES = (
    Code(
        code="DW008",
        severity="warning",
        title="decay that goes through an adaptive optimizer",
        why="Adam, RMSprop and their like add weight_decay·w to the gradient and then "
        "divide by the gradient's own size: weights with large gradients hardly decay, "
        "and no half-life exists. The number means something else for every weight.",
        found="By the family of the knob; for a live optimizer by stepping a copy.",
        write="Take the decoupled one: torch.optim.AdamW(params, lr=..., "
        "weight_decay=...), with a number of its own.",
        source=_ADAPTIVE,
    ),
    Code(
        code="DW009",
        severity="error",
        title="the number format rounds the decay away",
        why="A step that takes less than half a unit in the last place off a weight "
        "changes nothing: kept in bfloat16, weights ignore every shrink below 0.002 "
        "per step, a hundred times what usual settings ask for, and stop decaying "
        "early below twice that.",
        found="The shrink per step at the peak lr against the digits of the dtype that "
        "the weights are kept in. Under mixed precision that is float32.",
        write="Keep float32 weights (torch.autocast instead of model.bfloat16()), or "
        "take an optimizer with master weights or stochastic rounding.",
        source="measured: torch 2.13.0, AdamW, lr 1e-3, weight_decay 0.1, bfloat16: "
        "10,000 steps leave a weight as it was",
    ),
    Code(
        code="DW010",
        severity="warning",
        title="the half-life is longer than the run",
        why="A weight with zero gradient keeps more than half of its initial size: the "
        "decay barely acts, weights reach no equilibrium, and tuning the number shows "
        "mostly noise. GPT-3 was trained so; most fine-tuning is, and rightly: beyond "
        "10 runs there is no decay to turn up, and this is a note.",
        found="e-folds of the whole run, step by step along the lr schedule, below "
        "ln 2; a note where the half-life is longer than 10 runs, where a recipe for "
        "the same kind of network and optimizer decays as little, and in layers whose "
        "lr is scaled down.",
        write="For a decay that acts, ask for a half-life: dwindle convert "
        'half-life="20% of the run" --to torch.optim.AdamW ...; else write 0 and have '
        "one knob less.",
        source="arithmetic; Wang & Aitchison 2024 (2405.13698)",
    ),
    Code(
        code="DW011",
        severity="warning",
        title="the half-life is shorter than an epoch",
        why="In a run of several epochs a weight forgets an example before it meets it "
        "again: what is trained is an average over less than the data. Language models "
        "are trained so, on data of which thousands of steps are enough.",
        found="The half-life at the peak lr in epochs, where dataset and batch size "
        "are known and the run has more than one epoch; a note where it has 1,000 "
        "steps or more.",
        write="Lower the weight decay: dwindle convert half-life="
        '"3 epochs" --to torch.optim.AdamW ... tells the number.',
        source="Wang & Aitchison 2024 (2405.13698): best between 1 epoch and the run",
    ),
    Code(
        code="DW012",
        severity="error",
        title="momentum makes decaying weights swing",
        why="Coupled decay goes through the momentum. Where lr·weight_decay exceeds "
        "(1 − √momentum)², a weight with zero gradient overshoots zero and swings: no "
        "half-life exists, and the decay is not what its number says.",
        found="The characteristic roots of SGD's recurrence at the peak lr.",
        write="Lower the lr, the weight decay or the momentum until "
        "lr·weight_decay·(1 − dampening) is below (1 − √momentum)².",
        source="exact: roots of z² − (1 + μ − lr·λ)·z + μ; measured on torch.optim.SGD",
    ),
    Code(
        code="DW017",
        severity="note",
        title="beside a recipe that people know",
        why="Numbers such as 1e-4 and 0.05 cannot be compared; what a run leaves of a "
        "weight can. A recipe is no law, but a setting that is orders of magnitude "
        "from all of its kind is worth a second look.",
        found="The recipe with the nearest e-folds, for the same family of optimizer "
        "and the same kind of network, trained from scratch. Fine-tuning (a small lr, "
        "frozen parameters, an lr for each layer) is compared with none.",
        write="Nothing by itself; dwindle convert half-life=... gives the number for "
        "the recipe's share of the run.",
        source="the papers and repositories that docs/audit.md lists",
    ),
    Code(
        code="DW020",
        severity="error",
        title="an option that is no number",
        why="YAML 1.1 reads 1e-3 as a text, for it wants 1.0e-3. The Trainer takes the "
        "text and stops with a TypeError, for weight_decay only in the first step.",
        found="By the type that the file's reader, or the group, has: a text, or None "
        "where the optimizer has a number.",
        write="Write a dot and a sign, weight_decay: 1.0e-3, or 0.001.",
        source="yaml.org/type/float.html; PyYAML 6.0.3; run with transformers 5.23.0",
    ),
    Code(
        code="DW021",
        severity="note",
        title="nothing decays at all",
        why="weight_decay is 0 everywhere. That is the default of TrainingArguments "
        "and of most optimizers other than AdamW (0.01), so one gets it by typing "
        "nothing, or by changing the optimizer's class. Many good recipes decay "
        "nothing: GANs, linear probes, LoRA.",
        found="Every group has weight_decay 0, or no knob, and nothing hidden decays.",
        write="If a decay was meant, type one: weight_decay=0.1.",
        source="transformers 5.23.0, training_args.py; torch 2.13.0, torch/optim",
    ),
    Code(
        code="DW023",
        severity="note",
        title="rounding changes the decay",
        why="Near the last place of the number format each step is rounded up or down: "
        "weights decay faster or slower than asked, each by its own digits. In float32 "
        "that starts below a shrink of 1e-6 per step, which fine-tuning with lr 1e-5 "
        "and weight_decay 0.01 is; in bfloat16 it is everything that one types.",
        found="The shrink per step at the peak lr against the digits of the dtype.",
        write="Ask for more decay, or leave it out; keep weights in float32.",
        source="measured: torch 2.13.0, float32, lr·weight_decay 1e-7: spread of 20%",
    ),
    Code(
        code="DW024",
        severity="error",
        title="a decay so strong that weights flip or vanish",
        why="One step takes all of a weight, or more than it has: it changes its sign "
        "at every step or is zero at once. It is a typing error most of the time.",
        found="The shrink per step at the peak lr is 1 or more, or the weight swings "
        "through zero.",
        write="Lower weight_decay below 1/lr, and then far below.",
        source="arithmetic",
    ),
    Code(
        code="DW025",
        severity="note",
        title="a decay without a half-life",
        why="LARS and LAMB multiply the decay by a ratio of norms, Prodigy by an lr "
        "that it estimates, schedule-free averages weights: what a weight with zero "
        "gradient keeps depends on more than the number.",
        found="By the family of the knob; for a live optimizer by stepping a copy.",
        write="Nothing by itself: the other checks of size do not apply.",
        source="facts of each library, by version: dwindle knobs",
    ),
    Code(
        code="DW027",
        severity="error",
        title="a weight decay that is typed and never used",
        why="The Trainer builds the param groups of GaLore, APOLLO and LOMO without "
        "args.weight_decay, and for all others it overrides a weight_decay in "
        "optim_args: the number does nothing, and nothing says so.",
        found="By the name of the optimizer, and the words of optim_args.",
        write="Type it where it acts, weight_decay of TrainingArguments, or build the "
        "optimizer yourself: Trainer(..., optimizers=(optimizer, scheduler)).",
        source="transformers 5.23.0, trainer.py (create_optimizer), "
        "trainer_optimizer.py",
    ),
    Code(
        code="DW028",
        severity="error",
        title="a key that nobody reads",
        why="A key with a typing mistake is no argument: a script that picks its keys "
        "takes the default without a word, 0 for weight_decay; TrainingArguments "
        "refuse it. An optimizer of torch keeps any key of a group, wd or lr_mult, and "
        "reads its own.",
        found="A key of the file that TrainingArguments do not have, one or two typing "
        "mistakes from one that bears on decay; in a group also what other libraries "
        "call it, where a step on copies is the same without. Others are tolerated.",
        write="Write the name that was meant; the finding has the line.",
        source="transformers 5.23.0, training_args.py: the names of its fields",
    ),
    Code(
        code="DW026",
        severity="warning",
        title="the decay swamps the end of the run",
        why="A decay that does not follow the lr stays as the lr falls: late in the "
        "run it outweighs the updates and shrinks the weights under them.",
        found="A family of constant decay under a schedule that falls below a tenth of "
        "its peak.",
        write="Multiply it by the schedule, or take a decay that follows the lr "
        "(torch.optim.AdamW).",
        source="tensorflow/addons issues 844, 1902, 2282",
    ),
)

"""What people and trackers call the columns of results, by their bare letters."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Where a decay is typed, the surest names first.
KNOBS: Sequence[frozenset[str]] = (
    _words("weight_decay weightdecay decoupled_weight_decay"),
    _words("wd l2 l2_reg l2_regularization reg_l2 l2_penalty"),
    _words("lambda_l2 reg_lambda l2_lambda lambda lambd lam"),
    _words("alpha reg_alpha decay reg regularization c λ"),
)
# What a rule knows, and the names that people have for it.
SCALES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "width": _words(
            "width hidden hidden_size hidden_dim d_model n_embd embed_dim n_units "
            "num_units channels hidden_units"
        ),
        "depth": _words("depth n_layers num_layers n_layer layers"),
        "batch_size": _words(
            "batch_size bs batch batchsize train_batch_size global_batch_size "
            "per_device_train_batch_size"
        ),
        "dataset_size": _words(
            "dataset_size n_samples train_size num_samples samples n_train data_size"
        ),
        "epochs": _words("epochs num_epochs max_epochs n_epochs num_train_epochs"),
        "steps": _words("steps max_steps num_steps n_steps total_steps train_steps"),
        "tokens": _words("tokens total_tokens num_tokens train_tokens"),
        "weights": _words("weights parameters n_params num_params n_parameters"),
        "lr": _words("lr learning_rate learningrate base_lr max_lr peak_lr eta"),
    }
)
# Names of columns as trackers and scripts have them; each is looked for as a whole
# name, or as the last part of a dotted one.
SEEDS = _words(
    "seed random_seed random_state rng rng_seed manual_seed trial_seed fold "
    "replicate repetition rep"
)
STATUS = _words("state status")
PROGRESS = _words("epoch step global_step iteration iter current_epoch current_step")
RUNS = _words("run_id run id run_name name trial_id trial uid uuid")
BOOKKEEPING = _words(
    "number index created updated runtime duration time timestamp start_time end_time "
    "user notes tags sweep hostname host gpu device version commit git path dir "
    "directory output_dir log_dir artifact_uri experiment_id experiment group job_type "
    "lifecycle_stage source_name source_type source_version datetime_start date "
    "datetime_complete comment comments memory seconds wall_time walltime"
)
LOSSES = _words(
    "loss nll ce logloss crossentropy xent perplexity ppl bpb bpc rmse mse mae "
    "deviance brier"
)
ERRORS = _words("error err wer cer fid")
SCORES = _words(
    "acc accuracy auc auroc f1 r2 bleu rouge score top1 top5 acc1 acc5 miou iou dice "
    "precision recall mcc kappa reward psnr ssim ndcg map"
)
VALUES = _words("value values_0 objective target objective_value")
VALIDATION = _words("val valid validation eval evaluation dev cv")
TEST = _words("test heldout holdout")
# With one of these in its name a number is no loss to go by, whatever else it says.
NO_METRIC = _words("train training std scale weight time grad rank fit")
SUMMARY = _words("best min max last final")

"""The objectives as their authors write them, in loops, and the penalty that they mean.

Nothing here knows a conversion: an objective takes the losses of all N examples, the
weights by layer and the number that is typed, and returns what is minimized. What it
means is read off: how much one weight adds, over how much one unit of mean loss adds.
"""

from itertools import pairwise


def sum_of_squares(layer):
    total = 0.0
    for row in layer:
        for weight in row:
            total += weight * weight
    return total


def all_squares(layers):
    return sum(sum_of_squares(layer) for layer in layers)


def mean(losses):
    return sum(losses) / len(losses)


def count(layers):
    return sum(1 for layer in layers for row in layer for _ in row)


def canonical(losses, layers, x, _batch_size):
    return mean(losses) + x / 2 * all_squares(layers)


def question(losses, layers, x, _batch_size):
    return mean(losses) + x * all_squares(layers)


def question_by_layer(losses, layers, x, _batch_size):
    penalty = 0.0
    for layer in layers:
        units, next_units = len(layer), len(layer[0])
        penalty += x / (len(layers) * units * next_units) * sum_of_squares(layer)
    return mean(losses) + penalty


def question_by_count(losses, layers, x, _batch_size):
    return mean(losses) + x / count(layers) * all_squares(layers)


def batch_sum(losses, layers, x, batch_size):
    # One minibatch stands for all: its mean loss is the mean of all losses.
    return batch_size * mean(losses) + x * all_squares(layers)


def data_sum(losses, layers, x, _batch_size):
    return sum(losses) + x * all_squares(layers)


def normal_prior(losses, layers, x, _batch_size):
    return sum(losses) + all_squares(layers) / (2 * x * x)


def normal_prior_by_fan_in(losses, layers, x, _batch_size):
    minus_log = 0.0
    for layer in layers:
        variance = x * x / len(layer)  # a layer's rows are what comes in
        minus_log += sum_of_squares(layer) / (2 * variance)
    return sum(losses) + minus_log


def inverse(losses, layers, x, _batch_size):
    return x * sum(losses) + all_squares(layers) / 2


def half_batch_sum(losses, layers, x, batch_size):
    return batch_size * mean(losses) + x / 2 * all_squares(layers)


def half_data_sum(losses, layers, x, _batch_size):
    return sum(losses) + x / 2 * all_squares(layers)


def half_squared(losses, layers, x, _batch_size):
    # The losses are squared errors, and the author halves them.
    return mean(losses) / 2 + x / 2 * all_squares(layers)


def half_squared_batch_sum(losses, layers, x, batch_size):
    return batch_size * mean(losses) / 2 + x / 2 * all_squares(layers)


def half_squared_data_sum(losses, layers, x, _batch_size):
    return sum(losses) / 2 + x / 2 * all_squares(layers)


def asgd(losses, layers, x, _batch_size):
    # Beside the penalty x, the update takes lr * 1e-4 off every weight.
    return mean(losses) + (x + 1e-4) / 2 * all_squares(layers)


OBJECTIVES = {
    "canonical": canonical,
    "without-half": question,
    "without-half:layer-mean": question_by_layer,
    "without-half:global-mean": question_by_count,
    "batch-sum": batch_sum,
    "data-sum": data_sum,
    "half-batch-sum": half_batch_sum,
    "half-data-sum": half_data_sum,
    "half-squared": half_squared,
    "half-squared:batch-sum": half_squared_batch_sum,
    "half-squared:data-sum": half_squared_data_sum,
    "prior": normal_prior,
    "prior:fan-in": normal_prior_by_fan_in,
    "inverse-data-sum": inverse,
    "canonical:from-start": canonical,  # from a start at 0, where the sum is that of w
    "canonical:asgd": asgd,
}


def canonical_penalties(name, x, units, dataset_size, batch_size):
    """Return λ of each layer: twice what one weight of 1 adds, over a unit of loss."""
    objective = OBJECTIVES[name]
    shapes = list(pairwise(units))
    zeros = [[[0.0] * wide for _ in range(deep)] for deep, wide in shapes]
    nothing, ones = [0.0] * dataset_size, [1.0] * dataset_size
    unit_of_loss = objective(ones, zeros, x, batch_size)
    found = []
    for number in range(len(shapes)):
        layers = [[list(row) for row in layer] for layer in zeros]
        layers[number][0][0] = 1.0
        found.append(2 * objective(nothing, layers, x, batch_size) / unit_of_loss)
    return found

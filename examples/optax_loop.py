"""A half-life in an optax chain: one link at the end, jitted with the rest."""

import jax
import jax.numpy as jnp
import optax
from sklearn.datasets import load_digits

from dwindle.integrations.optax import decay, measured_shrink

EPOCHS, BATCH = 6, 50
digits = load_digits()
inputs, labels = jnp.asarray(digits.data / 16), jnp.asarray(digits.target)
steps_per_epoch = len(labels) // BATCH  # the short last batch is left out
steps = EPOCHS * steps_per_epoch

keys = jax.random.split(jax.random.key(0), 2)
start = {
    "hidden": {"kernel": jax.random.normal(keys[0], (64, 128)) / 8},
    "output": {"kernel": jax.random.normal(keys[1], (128, 10)) / 11},
}
params = {
    name: layer | {"bias": jnp.zeros(layer["kernel"].shape[1])}
    for name, layer in start.items()
}

lr = optax.warmup_cosine_decay_schedule(0.0, 3e-3, steps // 10, steps)
facts = {"batch_size": BATCH, "dataset_size": steps_per_epoch * BATCH, "steps": steps}
optimizer = optax.chain(
    optax.adam(lr), decay(half_life="3 epochs", learning_rate=lr, **facts)
)


def loss_of(params, batch, target):
    """Two layers that read a digit."""
    hidden = jax.nn.relu(batch @ params["hidden"]["kernel"] + params["hidden"]["bias"])
    logits = hidden @ params["output"]["kernel"] + params["output"]["bias"]
    return optax.softmax_cross_entropy_with_integer_labels(logits, target).mean()


@jax.jit
def step(params, state, batch, target):
    """One update, decay included."""
    loss, gradients = jax.value_and_grad(loss_of)(params, batch, target)
    updates, state = optimizer.update(gradients, state, params)
    return optax.apply_updates(params, updates), state, loss


state = optimizer.init(params)
for epoch in range(EPOCHS):
    order = jax.random.permutation(jax.random.key(epoch), len(labels))
    for at in range(steps_per_epoch):
        rows = order[at * BATCH : (at + 1) * BATCH]
        params, state, loss = step(params, state, inputs[rows], labels[rows])
    print(f"epoch {epoch + 1}: loss {loss:.3f}")

shrink = measured_shrink(optimizer, params, steps=steps)["hidden"]["kernel"]
print(f"half-life 3 epochs at the peak lr; on average a step takes {shrink:.3%}")
# No digit lights the first pixel: the gradient of its weights is zero.
kept = (params["hidden"]["kernel"] / start["hidden"]["kernel"])[0].mean()
print(f"A weight without gradient has kept {kept:.1%} over the run.")

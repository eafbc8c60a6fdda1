"""A half-life in model.fit of Keras: one callback. KERAS_BACKEND is jax or torch."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
from keras import layers
from sklearn.datasets import load_digits

from dwindle.integrations.keras import DecayCallback

EPOCHS, BATCH = 6, 50
keras.utils.set_random_seed(0)
digits = load_digits()
inputs = (digits.data / 16).astype("float32")

model = keras.Sequential(
    [
        keras.Input((64,)),
        layers.Dense(128, activation="relu", name="hidden"),
        layers.Dense(10),
    ]
)
steps = EPOCHS * -(-len(inputs) // BATCH)
lr = keras.optimizers.schedules.CosineDecay(
    0.0, decay_steps=steps * 9 // 10, warmup_target=3e-3, warmup_steps=steps // 10
)
model.compile(
    keras.optimizers.Adam(lr),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
start = model.get_layer("hidden").kernel.numpy().copy()

# Batches per epoch, length of the run and peak lr are read from fit and optimizer.
hold = DecayCallback(half_life="3 epochs")
model.fit(
    inputs, digits.target, batch_size=BATCH, epochs=EPOCHS, verbose=2, callbacks=[hold]
)

print(f"half-life {hold.half_life_steps:g} updates at the peak lr; what decays:")
print(*hold.decayed, sep="\n")
# No digit lights the first pixel: the gradient of its weights is zero.
kept = (model.get_layer("hidden").kernel.numpy() / start)[0].mean()
print(f"A weight without gradient has kept {kept:.1%} over the run.")

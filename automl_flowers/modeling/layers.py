"""Layers whose hyperparameters live in variables, so that trials can share a compiled program.

Keras bakes `Dropout.rate` and L2 factors into the graph as constants. Here they are weights
that do not train: a trial assigns them, nothing is traced again.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from search_spaces.backbones import InputConvention

LARGEST_HALF = 65504.0
"""Largest number in float16."""


@keras.saving.register_keras_serializable(package="automl_flowers")
class InputNormalisation(keras.layers.Layer):
    """Turns pixels in [0, 255] into what a backbone's weights expect.

    Args:
        mean: Subtracted, one value a channel, in `channel_order`.
        std: Divides what is left, one value a channel, in `channel_order`.
        channel_order: `"rgb"` or `"bgr"`.

    Input: images, RGB, uint8 or float, shape `(batch, height, width, 3)`, in [0, 255].
    Output: the same shape in the layer's compute dtype.
    """

    def __init__(
        self, mean: list[float], std: list[float], channel_order: str, **options: Any
    ) -> None:
        super().__init__(**options)
        self.mean, self.std, self.channel_order = list(mean), list(std), channel_order

    @classmethod
    def from_convention(cls, convention: InputConvention) -> InputNormalisation:
        """Return the layer for a backbone's input convention."""
        return cls(list(convention.mean), list(convention.std), convention.channel_order)

    def call(self, images: Any) -> Any:
        """Return normalised images."""
        pixels = ops.cast(images, "float32")
        if self.channel_order == "bgr":
            pixels = ops.flip(pixels, axis=-1)
        scale = ops.convert_to_tensor([1 / value for value in self.std], dtype="float32")
        mean = ops.convert_to_tensor(self.mean, dtype="float32")
        return ops.cast((pixels - mean) * scale, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"mean": self.mean, "std": self.std, "channel_order": self.channel_order}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="automl_flowers")
class ToHalf(keras.layers.Layer):
    """Rounds activations to float16, so that they are the same whether kept in a file or not.

    What float16 cannot hold becomes its largest number.
    """

    def call(self, inputs: Any) -> Any:
        """Return the inputs as float16."""
        wide = ops.cast(inputs, "float32")
        return ops.cast(ops.clip(wide, -LARGEST_HALF, LARGEST_HALF), "float16")


@keras.saving.register_keras_serializable(package="automl_flowers")
class FromHalf(keras.layers.Layer):
    """Takes float16 activations to the layer's compute dtype."""

    def call(self, inputs: Any) -> Any:
        """Return the inputs in the compute dtype."""
        return ops.cast(inputs, self.compute_dtype)


@keras.saving.register_keras_serializable(package="automl_flowers")
class AdjustableDropout(keras.layers.Layer):
    """Dropout with its rate in a variable.

    Args:
        seed: Of the random state; a trial assigns its own before every epoch.

    Attributes:
        rate: Variable, share of the inputs set to zero in training, [0, 1).
        seed_generator: Holds the random state; no Keras save format keeps it.
    """

    def __init__(self, seed: int = 0, **options: Any) -> None:
        super().__init__(**options)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape: Any) -> None:
        """Create the variable."""
        self.rate = self.add_weight(name="rate", shape=(), initializer="zeros", trainable=False)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the inputs, in training with a share of them zeroed and the rest scaled up."""
        if not training:
            return inputs
        noise = keras.random.uniform(ops.shape(inputs), seed=self.seed_generator)
        rate = ops.cast(self.rate, "float32")
        mask = ops.cast(noise >= rate, "float32") / (1.0 - rate)
        return inputs * ops.cast(mask, inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "seed": self.seed}


@keras.saving.register_keras_serializable(package="automl_flowers")
class AdjustableDense(keras.layers.Layer):
    """A dense layer with softmax, with the factor of its L2 penalty in a variable.

    Args:
        units: Number of outputs.

    Attributes:
        kernel: Variable, `(num_features, units)`.
        bias: Variable, `(units,)`.
        l2: Variable, adds `l2 * sum(kernel ** 2)` to the loss.
    """

    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.units = units

    def build(self, input_shape: Any) -> None:
        """Create kernel, bias and factor."""
        self.kernel = self.add_weight(name="kernel", shape=(input_shape[-1], self.units))
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")
        self.l2 = self.add_weight(name="l2", shape=(), initializer="zeros", trainable=False)

    def call(self, inputs: Any) -> Any:
        """Return probabilities and register the penalty."""
        self.add_loss(self.l2 * ops.sum(ops.square(self.kernel)))
        return ops.softmax(ops.matmul(inputs, self.kernel) + self.bias)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "units": self.units}

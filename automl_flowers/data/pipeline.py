"""From pictures to batches: reading order, augmentation, soft labels and weights, on the host.

The model always receives images, soft labels and sample weights, of static shapes. Order and
augmentation are functions of (seed, epoch, position of the example among the training ids), so
they depend on no timing and no worker count, and can start at any epoch: an epoch trained
after a restart sees what it would have seen without.

A recipe with `views` takes that many augmented versions of each image in turn. Which these are is
the same for all trials of a run, so what a frozen part makes of them can be shared. Where a
strength mixes images, that happens to the batch as it is trained on, so that alone depends on its
size, and nothing of it is shared or kept.

The last batch of a training epoch is filled up from the epoch's own beginning: shapes stay
static for a TPU, every example is seen, and a data set smaller than a batch still trains.
Evaluation is padded, and the padding is cut off from the predictions.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from automl_flowers.data.augmentation import augment, mix, sample_parameters
from automl_flowers.data.cache import Images
from automl_flowers.data.caching import ImageStore
from automl_flowers.data.views import show
from search_spaces.augmentation import AugmentationStrength, training_augmentation
from search_spaces.recipe import Recipe
from search_spaces.regularisation import class_weights

PREFETCH = 4
Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Activations = npt.NDArray[np.float16]
"""What the frozen part of a classifier makes of images, a row an image."""

ReadBatch = Callable[[tf.Tensor], tf.Tensor]
"""From positions, `(batch,)`, to what the model receives."""


@dataclass(frozen=True)
class Examples:
    """Images with labels, gathered from one or more caches.

    Attributes:
        caches: Images of one size, uint8, `(num_images, size, size, 3)`, wherever they are kept.
        cache_of: For each example, the index of its array.
        row_of: For each example, its row in that array.
        labels: Class indices, -1 where unknown.
        ids: One an example.
        content: Digits of what the images show, or None where nobody knows.
    """

    caches: tuple[ImageStore, ...]
    cache_of: Rows
    row_of: Rows
    labels: Rows
    ids: npt.NDArray[np.str_]
    content: str | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Height, width and channels of an image."""
        return self.caches[0].shape[1:]

    def take(self, positions: Rows) -> Images:
        """Return the images at some positions, uint8, `(len(positions), size, size, 3)`."""
        images = np.empty((len(positions), *self.image_shape), np.uint8)
        for number, cache in enumerate(self.caches):
            here = self.cache_of[positions] == number
            images[here] = cache[self.row_of[positions[here]]]
        return images

    def every(self, step: int) -> Examples:
        """Return each `step`th of these examples, the first among them."""
        return Examples(
            caches=self.caches,
            cache_of=self.cache_of[::step],
            row_of=self.row_of[::step],
            labels=self.labels[::step],
            ids=self.ids[::step],
            content=self.content and f"{self.content}/{step}",
        )

    def join(self, other: Examples) -> Examples:
        """Return these examples followed by others of the same size."""
        return Examples(
            caches=self.caches + other.caches,
            cache_of=np.concatenate([self.cache_of, other.cache_of + len(self.caches)]),
            row_of=np.concatenate([self.row_of, other.row_of]),
            labels=np.concatenate([self.labels, other.labels]),
            ids=np.concatenate([self.ids, other.ids]),
            content=self.content and other.content and f"{self.content}+{other.content}",
        )


def count_steps(num_examples: int, batch_size: int) -> int:
    """Return the steps of an epoch that shows every example."""
    return math.ceil(num_examples / batch_size)


def epoch_order(num_examples: int, batch_size: int, *, seed: int, epoch: int) -> Rows:
    """Return the positions that an epoch trains on, batch by batch.

    Args:
        num_examples: Size of the training set.
        batch_size: Images a step, over all replicas.
        seed: Of the trial.
        epoch: Counted from the start of the trial.

    Returns:
        int64, `(steps, batch_size)`: a permutation, then its own beginning again until the
        last batch is full.
    """
    order = np.random.default_rng([seed, epoch]).permutation(num_examples)
    steps = count_steps(num_examples, batch_size)
    return np.resize(order, (steps, batch_size)).astype(np.int64)


def training_batches(
    examples: Examples,
    recipe: Recipe,
    *,
    num_classes: int,
    batch_size: int,
    seed: int,
    first_epoch: int,
    last_epoch: int,
    view_seed: int = 0,
    kept: Mapping[int, Activations] | None = None,
) -> tf.data.Dataset:
    """Return the batches of some epochs of a trial, one epoch after the other.

    Args:
        examples: The training set, every label known.
        recipe: Says how to augment, smooth and weight.
        num_classes: Width of the labels.
        batch_size: Images a step, over all replicas.
        seed: Of the trial.
        first_epoch: First epoch, counted from the start of the trial.
        last_epoch: The epoch to stop before.
        view_seed: Of the run, for recipes with `views`.
        kept: By view, activations that take the place of the images; None where they are mixed.

    Returns:
        Batches `(images uint8, soft labels float32, sample weights float32)`, of shapes
        `(batch, size, size, 3)`, `(batch, num_classes)` and `(batch,)`.
    """
    strength = training_augmentation(recipe.augmentation)
    labels = tf.constant(examples.labels)
    counts = np.bincount(examples.labels, minlength=num_classes)
    weights = tf.constant(class_weights(counts, recipe.class_weighting))
    if kept is None:
        seed_of_views = view_seed if recipe.repeats_views else seed
        reader_of = _augmented(examples, recipe.augmentation, seed_of_views)
    else:
        reader_of = _kept(kept)

    def targets(positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        classes = tf.gather(labels, positions)
        soft = _soft_labels(classes, num_classes, recipe.label_smoothing)
        return soft, tf.gather(weights, classes)

    def order_of(epoch: np.int64) -> tuple[np.int64, Rows]:
        order = epoch_order(len(examples), batch_size, seed=seed, epoch=int(epoch))
        return np.int64(recipe.view_of(int(epoch))), order

    def batches_of(epoch: tf.Tensor) -> tf.data.Dataset:
        view, order = tf.numpy_function(order_of, [epoch], [tf.int64, tf.int64], stateful=False)
        read = reader_of(tf.ensure_shape(view, ()))
        shape = (count_steps(len(examples), batch_size), batch_size)
        mixed = _mixed(strength, len(examples), seed, epoch)
        return tf.data.Dataset.from_tensor_slices(tf.ensure_shape(order, shape)).map(
            lambda at: mixed(at, read(at), *targets(at)),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )

    epochs = tf.data.Dataset.range(first_epoch, last_epoch)
    as_it_stands = tf.autograph.experimental.do_not_convert  # there is no Python loop to convert
    return _ahead(epochs.flat_map(as_it_stands(batches_of)))


def evaluation_batches(examples: Examples, batch_size: int, view: int = 0) -> tf.data.Dataset:
    """Return all images in order, once, the last batch filled up with the first images.

    Args:
        examples: The images.
        batch_size: Images a batch.
        view: What is shown of each (`automl_flowers.data.views`).

    Returns:
        Batches of images, uint8, `(batch, size, size, 3)`. Cut the predictions to
        `len(examples)`.
    """
    read = _reader(examples)
    if not view:
        return _ahead(_in_order(len(examples), batch_size, read))
    return _ahead(_in_order(len(examples), batch_size, lambda at: show(read(at), view)))


def view_batches(
    examples: Examples, augmentation: str, *, batch_size: int, seed: int, views: Sequence[int]
) -> tf.data.Dataset:
    """Return versions of all images, one after the other, each as `evaluation_batches` does.

    Args:
        examples: The images, as in training.
        augmentation: Name of a strength.
        batch_size: Images a batch.
        seed: Of the run.
        views: Which versions.
    """
    reader_of = _augmented(examples, augmentation, seed)

    def batches_of(view: tf.Tensor) -> tf.data.Dataset:
        return _in_order(len(examples), batch_size, reader_of(view))

    return _ahead(tf.data.Dataset.from_tensor_slices(list(views)).flat_map(batches_of))


def kept_batches(activations: Activations, batch_size: int) -> tf.data.Dataset:
    """Return all activations in order, as `evaluation_batches` does with images."""
    read = _kept({0: activations})(0)
    return _ahead(_in_order(len(activations), batch_size, read))


def _ahead(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Return batches that are made while those before them are used.

    Without TensorFlow's autotuning, whose thread does not hear that the batches are over: freeing
    an iterator waited for it for seconds after every second training (`RootDataset::Iterator`,
    TensorFlow 2.21).
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.prefetch(PREFETCH).with_options(options)


def _in_order(num_examples: int, batch_size: int, read: ReadBatch) -> tf.data.Dataset:
    steps = count_steps(num_examples, batch_size)
    positions = np.resize(np.arange(num_examples), (steps, batch_size))
    return tf.data.Dataset.from_tensor_slices(positions).map(
        read, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )


def _augmented(
    examples: Examples, augmentation: str, seed: int
) -> Callable[[int | tf.Tensor], ReadBatch]:
    """Return a function from a view to what reads its images."""
    strength = training_augmentation(augmentation)

    def take(positions: Rows, parameters: Floats) -> Images:
        return augment(examples.take(positions), parameters, strength)

    def reader_of(view: int | tf.Tensor) -> ReadBatch:
        table = sample_parameters(len(examples), seed=seed, epoch=view)

        def read(positions: tf.Tensor) -> tf.Tensor:
            parameters = tf.gather(table, positions)
            images = tf.numpy_function(take, [positions, parameters], tf.uint8, stateful=False)
            return tf.ensure_shape(images, (positions.shape[0], *examples.image_shape))

        return read

    return reader_of


def _mixed(
    strength: AugmentationStrength, num_examples: int, seed: int, epoch: tf.Tensor
) -> Callable[..., tuple[tf.Tensor, ...]]:
    """Return a function from positions, images, labels and weights to a batch, mixed or not."""
    if not strength.mixes:
        return lambda _at, *batch: batch
    table = sample_parameters(num_examples, seed=seed, epoch=epoch)

    def mix_batch(at: tf.Tensor, *batch: tf.Tensor) -> tuple[tf.Tensor, ...]:
        types = [part.dtype for part in batch]
        mixed = tf.numpy_function(
            functools.partial(mix, strength=strength),
            [*batch, tf.gather(table, at)],
            types,
            stateful=False,
        )
        return tuple(
            tf.ensure_shape(part, before.shape) for part, before in zip(mixed, batch, strict=True)
        )

    return mix_batch


def _kept(arrays: Mapping[int, Activations]) -> Callable[[int | tf.Tensor], ReadBatch]:
    """Return a function from a view to what reads its activations."""
    shape = next(iter(arrays.values())).shape[1:]

    def take(view: np.int64, positions: Rows) -> Activations:
        return arrays[int(view)][positions]

    def reader_of(view: int | tf.Tensor) -> ReadBatch:
        def read(positions: tf.Tensor) -> tf.Tensor:
            rows = tf.numpy_function(take, [view, positions], tf.float16, stateful=False)
            return tf.ensure_shape(rows, (positions.shape[0], *shape))

        return read

    return reader_of


def _reader(examples: Examples) -> ReadBatch:
    def images_at(positions: tf.Tensor) -> tf.Tensor:
        images = tf.numpy_function(examples.take, [positions], tf.uint8, stateful=False)
        return tf.ensure_shape(images, (positions.shape[0], *examples.image_shape))

    return images_at


def _soft_labels(classes: tf.Tensor, num_classes: int, smoothing: float) -> tf.Tensor:
    hard = tf.one_hot(classes, num_classes, dtype=tf.float32)
    return hard * (1 - smoothing) + smoothing / num_classes

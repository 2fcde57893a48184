"""Tests for an ensemble as one Keras model."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from PIL import Image

from automl_flowers.blending.predictor import Predictor
from automl_flowers.blending.read_ensemble import Ensemble, TrainedMember
from automl_flowers.data.sources.images import decode_image
from automl_flowers.errors import UserError
from automl_flowers.exporting.formats import open_again, write
from automl_flowers.exporting.graph import _copy_model, build_ensemble
from automl_flowers.exporting.parity import CONVERSION_TOLERANCE, predict_in_batches
from automl_flowers.tuning.checkpoints import model_part, save_state
from ensembles.blend import Blend

NAMES = ("daisy", "rose", "tulip")


@pytest.fixture(scope="module")
def predictor(trainer, recipe, tmp_path_factory):
    """Two members of different sizes and boundaries, one of two fits, both with views."""
    folder = tmp_path_factory.mktemp("fits")

    def fit(recipe, number):
        states = []
        trainer.train(
            recipe,
            0,
            1,
            None,
            lambda record, get_state: states.append(model_part(get_state())),
            seed_number=number,
        )
        file = folder / f"{recipe.image_size}.{number}.npz"
        save_state(file, states[0])
        return file

    large = replace(recipe, image_size=48, trainable_blocks=0)
    members = (
        TrainedMember("two fits", recipe, 16, (fit(recipe, 0), fit(recipe, 1)), num_views=2),
        TrainedMember("large", large, 16, (fit(large, 0),), num_views=4),
    )
    blend = Blend("geometric", (0.75, 0.25), (1.5, 0.7), 0.9, 0.5, (0.2, 0.3, 0.5))
    return Predictor(Ensemble(members, blend, NAMES), trainer._accelerator, "none")


@pytest.fixture(scope="module")
def model(predictor):
    return build_ensemble(predictor)


def test_a_model_says_what_the_ensemble_says(predictor, model, garden):
    files = [path.read_bytes() for path in sorted(garden.rglob("*.png"))[:7]]
    at_size = {size: np.stack([decode_image(data, size) for data in files]) for size in (32, 48)}
    # a predictor that is shown what the model resizes inside, so that nothing else differs
    shrunk = np.stack([_shrunk(image) for image in at_size[48]])

    expected = predictor.predict({32: shrunk, 48: at_size[48]})
    made = model.predict(at_size[48], verbose=0)

    assert made.shape == (7, 3)
    np.testing.assert_allclose(made, expected, atol=2e-3)
    np.testing.assert_allclose(made, predictor.predict(at_size), atol=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["onnx", "litert"])
def test_views_and_several_sizes_go_through_converters(model, garden, tmp_path, name):
    files = [path.read_bytes() for path in sorted(garden.rglob("*.png"))[:7]]
    images = np.stack([decode_image(data, 48) for data in files])
    expected = model.predict(images, verbose=0)

    write(name, model, tmp_path, NAMES)
    made = predict_in_batches(open_again(name, tmp_path), images)

    np.testing.assert_allclose(made, expected, atol=CONVERSION_TOLERANCE)


def _shrunk(image):
    return np.asarray(Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR))


def test_nothing_of_this_package_is_inside(model):
    layers = list(model._flatten_layers(include_self=False))

    assert len(layers) > 100
    assert {type(layer).__module__.partition(".")[0] for layer in layers} == {"keras"}


def test_fits_of_one_architecture_share_what_is_frozen(model):
    names = [layer.name for layer in model.layers if isinstance(layer, keras.Model)]

    assert len([name for name in names if "frozen" in name]) == 1
    assert len([name for name in names if "trained" in name]) == 2


def test_nothing_in_it_trains(model):
    assert model.trainable_weights == []


def test_statistics_of_a_backbone_become_numbers():
    images = keras.Input((8, 8, 3))
    normalise = keras.layers.Normalization()
    features = keras.layers.Conv2D(4, 3)(normalise(keras.layers.Rescaling(1 / 255)(images)))
    model = keras.Model(images, features)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3)).astype(np.float32)
    normalise.adapt(pixels / 255)

    copied = keras.Model(images, _copy_model(model, "copied")(images))

    expected = model.predict(pixels, verbose=0)
    np.testing.assert_allclose(copied.predict(pixels, verbose=0), expected, atol=1e-5)
    kinds = {type(layer).__name__ for layer in copied._flatten_layers(include_self=False)}
    assert "Normalization" not in kinds


class Odd(keras.Model):
    """A model that says nothing of how it was made."""

    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def call(self, images):
        return images * self.scale


def test_a_model_that_cannot_be_copied_is_named():
    with pytest.raises(UserError, match=r"The model 'odd.*' cannot be copied") as error:
        _copy_model(Odd(2.0), "copied")

    assert "functional" in error.value.hint

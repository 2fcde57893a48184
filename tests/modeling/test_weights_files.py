"""Tests for reading backbones' weights from files."""

import pickle

import h5py
import keras
import numpy as np
import pytest

from automl_flowers.errors import DataError
from automl_flowers.modeling import backbones, efficientnet_lite
from search_spaces.backbones import get_backbone

VGG16 = get_backbone("vgg16")
LITE0 = get_backbone("efficientnet_lite0")


def build(entry):
    return backbones.build_backbone(entry, 32)


@pytest.fixture(scope="module")
def vgg16():
    """A VGG16 with weights that no other has."""
    keras.utils.set_random_seed(1)
    return build(VGG16)


@pytest.fixture(scope="module", params=["vgg16_notop.h5", "vgg16.weights.h5"])
def file(request, vgg16, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / request.param
    vgg16.save_weights(path) if path.name.endswith(".weights.h5") else write_notop(vgg16, path)
    return path


def write_notop(model, path):
    """Write weights as Keras publishes them: a group a layer, arrays in order."""
    with h5py.File(path, "w") as content:
        content.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = content.create_group(layer.name)
            names = [f"{layer.name}/{w.name}:0" for w in layer.weights]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, weight in zip(names, layer.weights, strict=True):
                group[name] = np.asarray(weight)


def test_every_weight_comes_from_the_file(vgg16, file):
    model = build(VGG16)

    backbones.load_weights(model, VGG16, str(file))

    for ours, theirs in zip(model.get_weights(), vgg16.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_random_state_in_a_file_is_no_weight(tmp_path):
    entry, path = get_backbone("efficientnet_b0"), tmp_path / "b0.weights.h5"
    model = build(entry)
    model.compile("adam")
    model.save_weights(path)

    backbones.load_weights(model, entry, str(path))


DEVIATION = [0.229, 0.224, 0.225]


@pytest.mark.parametrize(
    ("kept", "used"),
    [
        (DEVIATION, np.square(DEVIATION)),  # as Keras publishes them, in place of the variance
        ([1.0, 1.0, 1.0], [1.0, 1.0, 1.0]),  # as of a model that began with random weights
        ([0.06, 0.05, 0.05], [0.06, 0.05, 0.05]),  # as of one that was adapted to its pictures
    ],
)
def test_pixels_are_scaled_as_the_weights_expect(tmp_path, kept, used):
    entry, path = get_backbone("efficientnet_b0"), tmp_path / "b0.weights.h5"
    trained, loaded = build(entry), build(entry)
    [layer] = [one for one in trained.layers if isinstance(one, keras.layers.Normalization)]
    layer.adapt_variance.assign(kept)
    trained.save_weights(path)

    backbones.load_weights(loaded, entry, str(path))

    pixels = np.full((1, 32, 32, 3), 0.5, np.float32)
    scaled = loaded.get_layer(index=trained.layers.index(layer))(pixels)
    np.testing.assert_allclose(scaled[0, 0, 0], 0.5 / np.sqrt(used), rtol=1e-5)


def test_the_lite_file_of_a_person_is_that_of_the_package():
    ours, theirs = build(LITE0), build(LITE0)

    backbones.load_weights(ours, LITE0, str(efficientnet_lite.find_weights_file(0)))

    backbones.load_weights(theirs, LITE0, "imagenet")
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_none_leaves_the_weights(vgg16):
    before = vgg16.get_weights()

    backbones.load_weights(vgg16, VGG16, "none")

    np.testing.assert_array_equal(before[0], vgg16.get_weights()[0])


def with_classifier(path):
    inputs = keras.Input((32, 32, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(build(VGG16)(inputs))
    keras.Model(inputs, keras.layers.Dense(5)(pooled)).save_weights(path)


def another_model(path):
    images = keras.Input((32, 32, 3))
    features = images
    for _ in range(13):
        features = keras.layers.Conv2D(3, 3)(features)
    keras.Model(images, features).save_weights(path)


def cut_short(path):
    build(VGG16).save_weights(path)
    with path.open("rb+") as content:
        content.truncate(5000)


def linked_elsewhere(path):
    with h5py.File(path, "w") as content:
        content["layers"] = h5py.ExternalLink("/etc/hostname", "/")


def stored_elsewhere(path):
    with h5py.File(path, "w") as content:
        content.create_dataset("x", (4,), "u1", external=[("/etc/hostname", 0, 4)])


BAD = [with_classifier, another_model, cut_short, linked_elsewhere, stored_elsewhere]


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_a_file_that_does_not_fit_is_answered_in_a_sentence(make, tmp_path):
    path = tmp_path / "bad.weights.h5"
    make(path)

    with pytest.raises(DataError, match="do not fit 'vgg16' without its classifier: ") as refusal:
        backbones.load_weights(build(VGG16), VGG16, str(path))

    assert str(path) in str(refusal.value)
    assert str(refusal.value).count(". ") <= 1
    assert len(str(refusal.value)) < 400
    assert "notop" in refusal.value.hint


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("the pickle was run",)


@pytest.mark.parametrize("name", ["a.h5", "a.weights.h5", "a.pkl", "a.npz", "a.keras", "a.pth"])
def test_pickles_are_refused_and_not_run(name, tmp_path):
    (tmp_path / name).write_bytes(pickle.dumps(Bomb()))

    with pytest.raises(DataError, match="is not an HDF5 file"):
        backbones.load_weights(build(VGG16), VGG16, str(tmp_path / name))


def test_pickles_for_the_torch_reader_are_refused_and_not_run(tmp_path):
    path = tmp_path / "a-00000000.pth"
    path.write_bytes(pickle.dumps(Bomb()))

    with pytest.raises(DataError, match="Cannot read the weights"):
        backbones.load_weights(build(LITE0), LITE0, str(path))


def test_the_torch_file_of_another_variant_is_refused():
    file = efficientnet_lite.find_weights_file(1)

    with pytest.raises(DataError, match="do not fit 'efficientnet_lite0'"):
        backbones.load_weights(build(LITE0), LITE0, str(file))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"cannot be read from .*none\.h5`: No such file"):
        backbones.load_weights(build(VGG16), VGG16, str(tmp_path / "none.h5"))

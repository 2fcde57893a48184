"""What every registered backbone promises, checked on the network itself.

The smallest of each family runs always, all of them in `make test-all`.
"""

import gc
import types
import warnings

import h5py
import keras
import numpy as np
import pytest
from keras.src.utils import file_utils

from automl_flowers.modeling import backbones, blocks
from automl_flowers.modeling.layers import InputNormalisation
from search_spaces.backbones import BACKBONES, named_block

KERAS_ENTRIES = [entry for entry in BACKBONES.values() if entry.constructor[0].isupper()]


def module_of(entry):
    """Return the module of `keras.applications` that prepares an entry's input."""
    modules = [m for m in vars(keras.applications).values() if isinstance(m, types.ModuleType)]
    with_it = [module for module in modules if hasattr(module, entry.constructor)]
    return with_it[0] if with_it else getattr(keras.applications, entry.family)


@pytest.mark.parametrize("entry", KERAS_ENTRIES, ids=lambda entry: entry.name)
def test_input_convention_is_that_of_the_weights(entry):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype("float32")

    ours = InputNormalisation.from_convention(entry.input_convention)(pixels)

    theirs = module_of(entry).preprocess_input(pixels.copy())
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-4)


def test_every_model_of_keras_is_registered():
    models = {name for name in vars(keras.applications) if name[0].isupper()}

    assert {entry.constructor for entry in KERAS_ENTRIES} == models


def _smallest_of_families():
    by_size = sorted(BACKBONES.values(), key=lambda entry: -entry.num_parameters)
    return {entry.family: entry.name for entry in by_size}.values()


def _contract_params():
    exhaustive = [pytest.mark.exhaustive, pytest.mark.slow]
    always = _smallest_of_families()
    return [
        pytest.param(entry, id=entry.name, marks=[] if entry.name in always else exhaustive)
        for entry in BACKBONES.values()
    ]


@pytest.fixture(scope="module", params=_contract_params())
def built(request):
    """An entry and its model at the smallest size; one model at a time is alive."""
    keras.utils.set_random_seed(0)
    entry = request.param
    yield entry, backbones.build_backbone(entry, entry.min_image_size)
    keras.backend.clear_session()
    gc.collect()


def test_has_the_parameters_that_the_registry_says(built):
    entry, model = built

    assert model.count_params() == entry.num_parameters
    assert len(model.output_shape) == 4


def test_blocks_divide_the_layers_along_the_graph(built):
    entry, model = built
    operations, inputs_of = blocks.read_graph(model)
    block_of = {id(operation): block for operation, block in blocks.blocks_of(model, entry)}
    block = {name: block_of[id(operation)] for name, operation in operations.items()}

    backward = [(a, b) for b in inputs_of for a in inputs_of[b] if block[a] > block[b]]
    named = {name: named_block(entry.blocks, name) for name in block}
    moved = [n for n in block if named[n] is not None and named[n] != block[n]]

    assert {id(layer) for layer in model.layers} <= set(block_of)
    assert backward == []
    assert moved == []
    assert {n for n in named.values() if n is not None} == set(range(entry.num_blocks))
    with_weights = {block_of[id(layer)] for layer in model.layers if layer.weights}
    assert with_weights == set(range(entry.num_blocks))


def test_two_parts_compute_what_the_whole_does(built):
    entry, model = built
    size = entry.min_image_size
    pixels = np.random.default_rng(0).normal(size=(2, size, size, 3)).astype("float32")

    for trainable_blocks in {entry.num_blocks // 2, entry.num_blocks - 1}:
        blocks.set_trainable_blocks(model, entry, trainable_blocks)
        frozen, trained = blocks.divide(model, entry, trainable_blocks)
        if entry.family == "nasnet" and trainable_blocks < entry.num_blocks - 1:
            assert frozen is None  # every cell takes the outputs of two others
            assert trained is model
            continue
        np.testing.assert_array_equal(trained(frozen(pixels)), model(pixels))
        assert frozen.trainable_weights == []
        names = [weight.path for weight in model.trainable_weights]
        assert [weight.path for weight in trained.trainable_weights] == names


def test_all_frozen_and_nothing_frozen_are_one_part(built):
    entry, model = built

    assert blocks.divide(model, entry, 0) == (model, None)
    assert blocks.divide(model, entry, entry.num_blocks) == (None, model)


def test_one_step_changes_what_is_not_frozen_and_nothing_else(built):
    entry, model = built
    trainable_blocks = (entry.num_blocks + 1) // 2
    blocks.set_trainable_blocks(model, entry, trainable_blocks)
    classifier = with_head(entry, model)
    classifier.compile("adam", "categorical_crossentropy", run_eagerly=True)
    before = [[np.array(v) for v in layer.weights] for layer in model.layers]

    size = entry.min_image_size
    pixels = np.random.default_rng(0).integers(0, 256, (4, size, size, 3), dtype=np.uint8)
    loss = classifier.train_on_batch(pixels, np.eye(4, dtype=np.float32))

    assert np.isfinite(loss)
    block_of = {id(layer): block for layer, block in blocks.blocks_of(model, entry)}
    changed = {
        block_of[id(layer)]
        for layer, weights in zip(model.layers, before, strict=True)
        if any((a != np.array(b)).any() for a, b in zip(weights, layer.weights, strict=True))
    }
    assert changed == set(range(entry.num_blocks - trainable_blocks, entry.num_blocks))


def with_head(entry, model):
    images = keras.Input((entry.min_image_size, entry.min_image_size, 3), dtype="uint8")
    pixels = InputNormalisation.from_convention(entry.input_convention)(images)
    pooled = backbones.pool_features(model(pixels))
    return keras.Model(images, keras.layers.Dense(4, activation="softmax")(pooled))


def test_sees_in_pixels_what_keras_sees_with_the_same_file(built, tmp_path, monkeypatch):
    entry, model = built
    if entry not in KERAS_ENTRIES:
        pytest.skip("Keras does not have it")
    asked = []

    def get_file(name, url, *, cache_subdir, cache_dir=None, file_hash=None):
        asked.append((name, url, cache_subdir, file_hash))
        return str(tmp_path / "notop.h5")

    write_published_file(model, tmp_path / "notop.h5")
    monkeypatch.setattr(keras.utils, "get_file", get_file)
    monkeypatch.setattr(file_utils, "get_file", get_file)
    size = entry.min_image_size
    pixels = np.random.default_rng(0).integers(0, 256, (2, size, size, 3)).astype("float32")

    backbones.load_weights(model, entry, "imagenet")
    ours = model(InputNormalisation.from_convention(entry.input_convention)(pixels))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        constructor = getattr(keras.applications, entry.constructor)
        reference = constructor(include_top=False, weights="imagenet", input_shape=(size, size, 3))

    theirs = np.array(reference(module_of(entry).preprocess_input(pixels)))
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 * np.abs(theirs).max())
    assert asked[0] == asked[1]


def write_published_file(model, path):
    """Write weights as Keras publishes them: a group a layer, arrays in order."""
    with h5py.File(path, "w") as content:
        content.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = content.create_group(layer.name)
            names = [f"{number}:0".encode() for number, _ in enumerate(layer.weights)]
            group.attrs["weight_names"] = names
            for name, weight in zip(names, layer.weights, strict=True):
                group[name] = np.array(weight)
            if isinstance(layer, keras.layers.Normalization) and layer.weights:
                group["0:0"][...] = [0.485, 0.456, 0.406]
                group["1:0"][...] = [0.229, 0.224, 0.225]

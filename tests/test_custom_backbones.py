"""Tests for a person's own backbones."""

import itertools
import subprocess
import sys

import pytest

from automl_flowers.custom_backbones import register_backbone
from automl_flowers.errors import ConfigError
from search_spaces.backbones import SIGNED, InputConvention, get_backbone
from search_spaces.spaces import parse_space

pytestmark = pytest.mark.usefixtures("registry")


def small_net(image_size, num_layers=12):
    import keras

    images = keras.Input((image_size, image_size, 3))
    features = images
    for _ in range(num_layers):
        features = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(features)
    return keras.Model(images, features)


def pooled_net(image_size):
    import keras

    net = small_net(image_size)
    return keras.Model(net.input, keras.layers.GlobalMaxPooling2D()(net.output))


def build(name):
    from automl_flowers.modeling.backbones import build_backbone

    return build_backbone(get_backbone(name), 16)


def test_a_registered_backbone_may_stand_in_a_space():
    register_backbone("mine", small_net, input_convention="signed", image_size=64)

    assert parse_space("s", {"backbone": "mine"}).choices("backbone") == ("mine",)
    assert get_backbone("mine").input_convention is SIGNED
    assert get_backbone("mine").num_blocks == 10


def test_a_convention_may_be_spelt_out():
    convention = InputConvention((1, 2, 3), (4, 5, 6), "bgr")

    register_backbone("mine", small_net, input_convention=convention)

    assert get_backbone("mine").input_convention is convention


def test_nothing_is_imported_before_it_is_used():
    code = (
        "import sys\n"
        "from automl_flowers.custom_backbones import register_backbone\n"
        "register_backbone('mine', print, input_convention='raw')\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"name": "Mine"}, "consists of small letters, digits and `_`, got 'Mine'"),
        ({"name": "vgg16"}, "There is a backbone 'vgg16' already. Choose another name."),
        ({"build": small_net}, None),
        ({"build": "resnet"}, "must be a function from an image size to a Keras model, got str"),
        ({"input_convention": "tf"}, "Unknown input convention 'tf', expected one of: caffe"),
        ({"min_image_size": 300}, "needs 1 <= min_image_size <= image_size, got 300 and 224"),
    ],
)
def test_arguments_that_do_not_hold_up_are_refused(arguments, sentence):
    arguments = {"name": "mine", "build": small_net, "input_convention": "raw", **arguments}

    if sentence is None:
        register_backbone(**arguments)
    else:
        with pytest.raises(ConfigError) as refusal:
            register_backbone(**arguments)
        assert sentence in str(refusal.value)


def test_a_name_is_taken_once():
    register_backbone("mine", small_net, input_convention="raw")

    with pytest.raises(ConfigError, match="There is a backbone 'mine' already"):
        register_backbone("mine", small_net, input_convention="raw")


@pytest.mark.parametrize("num_layers", [3, 10, 12, 45])
def test_blocks_without_names_are_equal_parts_of_the_layers_with_weights(num_layers):
    from automl_flowers.modeling.blocks import set_trainable_blocks

    register_backbone("mine", lambda size: small_net(size, num_layers), input_convention="raw")
    model = build("mine")

    counts = []
    for trainable in range(11):
        set_trainable_blocks(model, get_backbone("mine"), trainable)
        counts.append(sum(layer.trainable for layer in model.layers if layer.weights))

    steps = [after - before for before, after in itertools.pairwise(counts)]
    assert (counts[0], counts[-1]) == (0, num_layers)
    assert counts[1] >= 1
    assert max(steps) - min(steps) <= 1


@pytest.mark.parametrize("net", [small_net, pooled_net])
def test_feature_maps_and_pooled_features_become_classifiers(net):
    from automl_flowers.modeling.classifier import Architecture, build_classifier

    register_backbone("mine", net, input_convention="raw")

    model = build_classifier(Architecture("mine", 16, 1, "adam", 2, 3, "float32", 4, "imagenet"))

    assert model.output_shape == (None, 3)
    assert len(model.trainable_weights) == 2 + 2  # the last convolution's and the head's


@pytest.mark.parametrize(("trainable", "trained_layers"), [(0, 0), (1, 2), (2, 6), (3, 12)])
def test_blocks_may_be_named(trainable, trained_layers):
    from automl_flowers.modeling.blocks import set_trainable_blocks

    names = ("conv2d_5", "conv2d_9", "conv2d_11")
    register_backbone("mine", small_net, input_convention="raw", blocks=names)
    build("mine")  # Keras numbers the layers of the next one on
    model = build("mine")

    set_trainable_blocks(model, get_backbone("mine"), trainable)

    assert sum(layer.trainable for layer in model.layers if layer.weights) == trained_layers


def test_a_model_without_a_graph_trains_as_a_whole_or_not_at_all():
    import keras

    from automl_flowers.modeling.blocks import set_trainable_blocks

    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.convolution = keras.layers.Conv2D(4, 3)

        def call(self, images):
            return self.convolution(images)

    register_backbone("mine", lambda _size: Subclassed(), input_convention="raw")
    model = build("mine")
    model.build((None, 16, 16, 3))

    counts = []
    for trainable in (0, 1, 10):
        set_trainable_blocks(model, get_backbone("mine"), trainable)
        counts.append(len(model.trainable_weights))

    assert counts == [0, 2, 2]


def no_model(_size):
    return "resnet50"


def fails(_size):
    raise OSError("no weights here")


def other_size(_size):
    return small_net(8)


def other_rank(image_size):
    import keras

    net = small_net(image_size)
    return keras.Model(net.input, keras.layers.Reshape((-1, 4))(net.output))


def two_outputs(image_size):
    import keras

    net = small_net(image_size)
    return keras.Model(net.input, [net.output, net.output])


@pytest.mark.parametrize(
    ("net", "sentence"),
    [
        (no_model, "must return a `keras.Model`, got str."),
        (fails, "failed: OSError: no weights here"),
        (other_size, "must take images of shape (16, 16, 3), but: "),
        (other_rank, "or features (batch, channels), got an output of shape (None, 256, 4)."),
        (two_outputs, "must return one output, got 2."),
    ],
)
def test_what_build_returns_is_checked_and_named(net, sentence):
    register_backbone("mine", net, input_convention="raw")

    with pytest.raises(ConfigError) as refusal:
        build("mine")

    assert str(refusal.value).startswith("`build(16)` of backbone 'mine' ")
    assert sentence in str(refusal.value)


def test_blocks_without_layers_are_named():
    register_backbone("mine", small_net, input_convention="raw", blocks=("stem_", "conv2d_11"))

    with pytest.raises(ConfigError, match="has no layers in these `blocks`: stem_"):
        build("mine")

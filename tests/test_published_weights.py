"""Whether weights that Keras publishes are here, or can be fetched."""

import http.server
import threading
import urllib.request
from pathlib import Path

import pytest

from automl_flowers.published_weights import can_reach, kept_file
from search_spaces.backbones import get_backbone

VGG16 = get_backbone("vgg16")


class _Silent(http.server.BaseHTTPRequestHandler):
    """Refuses whatever is asked, and so answers."""

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def address():
    """Where a server answers until the test ends."""
    with http.server.HTTPServer(("127.0.0.1", 0), _Silent) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_host_that_answers_is_told_from_one_that_does_not(address):
    assert can_reach(address)
    assert not can_reach("http://127.0.0.1:1")
    assert not can_reach("http://weights.invalid")


def test_a_proxy_is_asked_where_one_is_set(address, monkeypatch):
    monkeypatch.setattr(urllib.request, "_opener", None)  # it keeps the proxies that it began with
    monkeypatch.setenv("http_proxy", address)

    assert can_reach("http://weights.invalid")


def test_weights_are_looked_for_where_keras_keeps_them():
    assert kept_file(VGG16, {"KERAS_HOME": "/kept"}) == Path("/kept/models") / VGG16.weights_file


@pytest.mark.parametrize("environ", [{}, {"KERAS_HOME": ""}, {"KERAS_HOME": "~/.keras"}])
def test_an_empty_variable_names_no_folder(environ):
    assert kept_file(VGG16, environ) == Path.home() / ".keras/models" / VGG16.weights_file

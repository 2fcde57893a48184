"""Tests for probes: what frozen features say before anything is fine-tuned."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl_flowers.errors import RunError
from automl_flowers.modeling.features import START_STRENGTH, Head
from automl_flowers.tuning.probe import ProbeFolder
from automl_flowers.tuning.probe_rule import MAX_GAP, Probe, choose_backbones, comparable, fits


def make_probe(backbone="vgg16", image_size=96, macro_f1=0.8, content="digits"):
    return Probe(backbone, image_size, macro_f1, 0.8, 0.5, 0.1, 3.0, 1.0, content)


HEAD = Head(np.ones((4, 3), np.float32), np.arange(3, dtype=np.float32), START_STRENGTH)


def test_backbones_far_behind_are_left_out_and_the_rest_ranked():
    probes = [
        make_probe("vgg16", 96, 0.60),
        make_probe("vgg16", 160, 0.71),
        make_probe("xception", 96, 0.80),
        make_probe("densenet201", 96, 0.69),
    ]

    backbones = ["vgg16", "xception", "densenet201"]
    assert choose_backbones(backbones, probes) == ["xception", "vgg16"]
    assert choose_backbones([*backbones, "resnet50"], probes) == ["xception", "vgg16", "resnet50"]


scores = st.lists(st.floats(0, 1), min_size=1, max_size=6)


@given(scores)
def test_the_best_is_always_chosen_and_the_rule_is_its_distance(macro_f1s):
    probes = [make_probe(f"b{number}", 96, score) for number, score in enumerate(macro_f1s)]

    chosen = choose_backbones([probe.backbone for probe in probes], probes)

    assert macro_f1s[int(chosen[0][1:])] == max(macro_f1s)
    for number, score in enumerate(macro_f1s):
        assert (f"b{number}" in chosen) == (score >= max(macro_f1s) - MAX_GAP)


def test_no_probe_leaves_nothing_out():
    assert choose_backbones(["vgg16", "xception"], []) == ["vgg16", "xception"]


def test_a_probe_is_read_as_it_was_written(tmp_path):
    folder = ProbeFolder(tmp_path)

    folder.save(make_probe(), HEAD)

    assert folder.find("vgg16", 96) == make_probe()
    assert folder.find("vgg16", 96, "digits") == make_probe()
    assert folder.find("vgg16", 96, "other images") is None
    assert folder.find("vgg16", 160) is None
    read = folder.head("vgg16", 96)
    np.testing.assert_array_equal(read.kernel, HEAD.kernel)
    np.testing.assert_array_equal(read.bias, HEAD.bias)
    assert folder.head("xception", 96) is None


def test_probes_are_listed_best_first(tmp_path):
    folder = ProbeFolder(tmp_path)
    for backbone, score in [("vgg16", 0.5), ("xception", 0.9), ("densenet201", 0.7)]:
        folder.save(make_probe(backbone, macro_f1=score), HEAD)

    assert [made.backbone for made in folder.all()] == ["xception", "densenet201", "vgg16"]
    assert ProbeFolder(tmp_path / "nowhere").all() == []


def test_a_kill_between_head_and_record_leaves_no_probe(tmp_path, monkeypatch):
    folder = ProbeFolder(tmp_path)
    folder.save(make_probe(content="before"), HEAD)

    def die(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("automl_flowers.tuning.probe.write_json", die)
    with pytest.raises(KeyboardInterrupt):
        folder.save(make_probe(content="after"), HEAD)

    assert folder.find("vgg16", 96) is None


def test_a_damaged_probe_is_named(tmp_path):
    folder = ProbeFolder(tmp_path)
    folder.save(make_probe(), HEAD)
    (tmp_path / "vgg16-96.json").write_text(json.dumps({})[:1])

    with pytest.raises(RunError, match=r"vgg16-96\.json` is damaged"):
        folder.find("vgg16", 96)


def test_another_probe_is_made_while_it_is_predicted_to_fit():
    """The one that is there took 3 s at 96 pixels."""
    assert fits([], 96, 0.0), "the first is made whatever it takes"
    assert fits([make_probe()], 96, 6.0)
    assert not fits([make_probe()], 96, 5.9)
    assert fits([make_probe()], 192, 15.0)
    assert not fits([make_probe()], 192, 14.9)


@given(st.lists(st.sampled_from([96, 128, 192, 224]), min_size=1, max_size=12), st.floats(3, 500))
def test_probes_keep_their_share_where_pixels_decide_what_they_take(sizes, seconds):
    made = []
    for size in sizes:
        if not fits(made, size, seconds):
            break
        made.append(replace(make_probe(image_size=size), seconds=3.0 * (size / 96) ** 2))

    assert sum(probe.seconds for probe in made[1:]) <= seconds


def test_a_size_that_not_every_backbone_was_probed_at_compares_nobody():
    small = [make_probe("vgg16", 96, 0.6), make_probe("xception", 96, 0.65)]
    large = make_probe("vgg16", 160, 0.8)

    assert comparable([*small, large], [96, 160], set()) == [large, small[1], small[0]]
    fair = comparable([*small, large], [96, 160], {160})
    assert fair == [small[1], small[0]]
    assert choose_backbones(["vgg16", "xception"], fair) == ["xception", "vgg16"]


def test_who_was_not_probed_at_the_smallest_size_either_is_kept():
    fair = comparable([make_probe("vgg16", 96, 0.6)], [96, 160], {96, 160})

    assert choose_backbones(["vgg16", "xception"], fair) == ["vgg16", "xception"]


def test_what_was_skipped_is_remembered(tmp_path):
    folder = ProbeFolder(tmp_path)
    assert folder.skipped() == []

    folder.save(make_probe(), HEAD)
    folder.skip([("vgg16", 160), ("xception", 160)])

    assert ProbeFolder(tmp_path).skipped() == [("vgg16", 160), ("xception", 160)]
    assert folder.all() == [make_probe()]

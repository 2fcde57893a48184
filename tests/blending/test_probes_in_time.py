"""Probes that would take more time than they may."""

import math

from automl_flowers.starting_weights import IMAGENET
from automl_flowers.tuning.probe import ProbeFolder, probe_all
from search_spaces.spaces import parse_space

SPACE = parse_space("two sizes", {"backbone": ["efficientnet_lite0"], "image_size": [48, 32]})


def test_what_does_not_fit_is_skipped_also_when_the_search_goes_on(ours, tmp_path):
    made = []

    for seconds in (0.0, math.inf):
        folder = ProbeFolder(tmp_path)
        probes = probe_all(SPACE, ours, IMAGENET, folder, made.append, seconds=seconds)

        assert [probe.name for probe in probes] == ["efficientnet_lite0-32"]
        assert folder.skipped() == [("efficientnet_lite0", 48)]
    assert made[0] == made[1], "the second is the first, read again"

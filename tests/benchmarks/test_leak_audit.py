"""The benchmark of the leak audit, on a few drawn pictures."""

import pytest
from PIL import Image

from automl_flowers.data.copies import neighbours
from benchmarks import leak_audit
from tests.data.textures import CHANGES, texture


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Our pictures, and external ones of which two are copies."""
    root = tmp_path_factory.mktemp("leak_audit")
    for number in range(4):
        save(root / "ours" / ("daisy", "rose")[number % 2] / f"{number}.png", texture(number))
    save(root / "web/daisy/dark.png", CHANGES["darker"](texture(2)))
    save(root / "web/rose/mirrored.png", CHANGES["mirrored"](texture(1)))
    save(root / "web/rose/new.png", texture(50))
    return root


def save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def test_hits_are_those_of_the_audit_and_are_drawn_beside_their_matches(folders, tmp_path):
    found, seconds = leak_audit.audited(folders / "ours", folders / "web", tmp_path)

    hits = leak_audit.across(found)
    leak_audit.contact_sheet(hits, found.rows, tmp_path / "hits.webp")
    leak_audit.contact_sheet([], found.rows, tmp_path / "none.webp")

    assert [(hit.first.file, hit.second.file) for hit in hits] == [
        ("daisy/2.png", "daisy/dark.png"),
        ("rose/1.png", "rose/mirrored.png"),
    ]
    assert {hit.second.file for hit in hits} == {leak.picture.file for leak in found.leaks}
    assert seconds["seconds"] > 0
    with Image.open(tmp_path / "hits.webp") as sheet:
        assert sheet.width == leak_audit.ACROSS * (2 * leak_audit.SIDE + 8)
        assert sheet.height == leak_audit.ABOVE + leak_audit.SIDE + leak_audit.BELOW
        below = sheet.convert("L").crop((0, sheet.height - leak_audit.BELOW, *sheet.size))
        assert below.getextrema()[0] < 128  # names
    assert not (tmp_path / "none.webp").exists()


LABELS = """file,near_dup_of_oxford17
daisy/dark.png,oxford17/daisy/2.png;oxford17/rose/3.png
rose/mirrored.png,oxford17/rose/3.png
rose/gone.png,oxford17/rose/3.png
rose/new.png,
"""


def test_hits_are_compared_with_the_files_of_the_list_and_their_matches(folders, tmp_path):
    (tmp_path / "labels.csv").write_text(LABELS)
    hits = leak_audit.across(leak_audit.audited(folders / "ours", folders / "web", tmp_path)[0])
    listed = leak_audit.listed_copies(tmp_path / "labels.csv")

    compared = leak_audit.compare_with_list(hits, listed)
    beside = leak_audit.compare_with_list(hits, {"daisy/dark.png": {"daisy/2.png"}})

    assert (compared["files"], compared["recall"]) == (3, 0.6667)
    assert (compared["recall_of_matches"], compared["surest_match_listed"]) == (0.3333, 0.5)
    assert compared["missed"] == ["rose/gone.png"]
    assert compared["other_match"] == {"rose/mirrored.png": ["rose/1.png"]}
    assert compared["unlisted"] == []
    assert (beside["recall"], beside["recall_of_matches"], beside["files_hit"]) == (1, 1, 2)
    (hit,) = beside["unlisted"]
    assert (hit["file"], hit["match"]) == ("rose/mirrored.png", "rose/1.png")
    assert hit["agreement"] > 0.9


def test_a_search_by_cells_is_forced_and_then_no_more(folders, tmp_path, monkeypatch):
    monkeypatch.setattr(neighbours, "NUM_CELLS", 4)
    usual, heard = neighbours.MAX_COMPARISONS, []

    with leak_audit.searching_by_cells():
        ours, rows = leak_audit.fingerprints(folders / "ours", tmp_path)
        beside, _ = leak_audit.fingerprints(folders / "web", tmp_path)
        leak_audit.find_copies(ours, beside, lambda what, *counts: heard.append(what))
        planted = leak_audit.plant(ours, rows, beside)

    assert usual == neighbours.MAX_COMPARISONS
    assert "looking for pictures that look alike" in heard
    assert planted["mirrored"] == {"recall": 1.0, "other_pairs": 0}


def test_every_change_is_planted_and_its_recall_told(folders, tmp_path):
    ours, rows = leak_audit.fingerprints(folders / "ours", tmp_path)

    planted = leak_audit.plant(ours, rows)

    assert planted.keys() == leak_audit.CHANGES.keys()
    assert planted["mirrored"] == {"recall": 1.0, "other_pairs": 0}


def test_a_large_search_is_measured_by_what_it_finds():
    measured = leak_audit.measure_scale(40, 20, 10)

    assert (measured["left"], measured["right"], measured["planted"]) == (40, 20, 10)
    assert measured["recall"] >= 0.8
    assert measured["other_pairs"] == 0

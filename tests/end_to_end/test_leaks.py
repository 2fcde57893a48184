"""Copies of evaluation images, from the search to the blend, by the real command line."""

import json

from PIL import Image

from tests.data.textures import CHANGES, texture


def draw(root, counts, seed):
    """Write pictures with details: for each split and class so many, all of them different."""
    for split, count in counts.items():
        for name in ("daisy", "rose"):
            for number in range(count):
                path = root / split / name / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                texture(seed, (40, 40)).save(path)
                seed += 1
    return root


def test_copies_are_dropped_by_the_search_and_by_the_ensemble_as_each_was_told(
    cli, space, tmp_path
):
    photos = draw(tmp_path / "photos", {"train": 6, "val": 6, "test": 3}, seed=0)
    more = draw(tmp_path / "more_photos", {"": 2}, seed=1000)
    with Image.open(photos / "test/rose/0.png") as image:
        CHANGES["mirrored"](image).save(photos / "train/rose/copy.png")
        CHANGES["resized"](image).save(more / "rose/copy.png")
    run = tmp_path / "run"
    given = ("--data", photos, "--run", run, "--space", space, "--weights", "none")

    searched = cli("search", *given, "--max-epochs", 1, "--max-recipes", 2)
    before = json.loads((run / "data.json").read_text())
    blended = cli("ensemble", "--run", run, "--top", 2, "--external", more, "--leaks", "warn")

    assert searched.exit_code == blended.exit_code == 0, searched.stderr + blended.stderr
    assert before["leaks"]["dropped"] == ["train/rose/copy.png"]
    assert before["images"]["train"] == 12
    named = "dropped: train/rose/copy.png (test: test/rose/0.png)"
    assert named in searched.stderr
    assert named in blended.stderr
    assert json.loads((run / "data.json").read_text()) == before
    [external] = json.loads((run / "blend.json").read_text())["external"]
    assert external["near_copies_dropped"] == []
    assert external["leaks"]["found"][0]["file"] == "rose/copy.png"
    assert external["images_used"] == 5
    assert "(`--leaks warn`): rose/copy.png (test: test/rose/0.png)" in blended.stderr

"""Tests for deciding what of an external data set may be trained on."""

import numpy as np
import pytest
from PIL import Image

from automl_flowers.blending import external as external_module
from automl_flowers.blending.external import join_sources, read_sources
from automl_flowers.data.convert import convert
from automl_flowers.errors import ConfigError, DataError
from automl_flowers.modeling import features

COLOURS = {"Daisies": (230, 210, 60), "nettle": (30, 160, 50), "roses": (220, 40, 60)}
OPTIONS = {
    "label_map": {},
    "probe_with": None,
    "image_size": 32,
    "on_progress": lambda what, done, total: None,
}


@pytest.fixture
def meadow(tmp_path, draw_pictures):
    """An external data set of three classes, two of which have the names of ours."""
    return draw_pictures(tmp_path / "meadow", {"": 3}, COLOURS, seed=1000)


@pytest.fixture
def read(ours, tmp_path):
    """`read_sources` of one data set against our images."""

    def read(address, **options):
        options = {**OPTIONS, "cache": tmp_path / "c", **options}
        [source] = read_sources([str(address)], ours, **options)
        return source

    return read


def plant(garden, ours, split, target, change):
    """Write a changed copy of our first rose in a split, and return our id of it."""
    rows = ours.manifest.split(split)
    identity = rows["id"][rows["label"] == 1].iloc[0]
    with Image.open(garden / identity) as image:
        change(image.convert("RGB")).save(target, quality=85)
    return identity


CHANGES = {
    "recompressed": lambda image: image,
    "resized": lambda image: image.resize((48, 48), Image.Resampling.BICUBIC),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}


def test_classes_of_our_names_are_used_with_our_labels(read, meadow):
    source = read(meadow)

    assert source.name == "meadow"
    assert [(d.external, d.ours, d.num_images, d.is_used) for d in source.decisions] == [
        ("Daisies", "daisy", 3, True),
        ("nettle", None, 3, False),
        ("roses", "rose", 3, True),
    ]
    assert source.labels.tolist() == [0, 0, 0, -1, -1, -1, 1, 1, 1]
    assert source.leaks.dropped == ()
    assert source.num_used == 6


def test_a_csv_file_of_the_same_images_is_used_alike(read, meadow):
    images = sorted(path.relative_to(meadow) for path in meadow.rglob("*.png"))
    lines = [f"{path},{path.parent}" for path in images]
    (meadow / "list.csv").write_text("\n".join(["path,label", *lines]))

    table, folder = read(meadow / "list.csv"), read(meadow)

    assert table.decisions == folder.decisions
    assert table.labels.tolist() == folder.labels.tolist()
    assert table.name == "list"


def test_only_used_images_become_examples_with_ids_of_their_own(read, meadow):
    examples = read(meadow).examples_at(16)

    assert examples.ids.tolist() == [
        f"meadow/{name}/{number}.png" for name in ("Daisies", "roses") for number in range(3)
    ]
    assert examples.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert examples.take(np.arange(6)).shape == (6, 16, 16, 3)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("split", ["val", "blend", "test"])
def test_a_planted_copy_of_an_evaluation_image_is_dropped(
    read, meadow, garden, ours, split, change
):
    plant(garden, ours, split, meadow / "roses/copy.jpg", change)

    source = read(meadow)

    assert source.leaks.dropped == ("roses/copy.jpg",)
    assert source.num_used == 6
    assert "meadow/roses/copy.jpg" not in source.examples_at(32).ids


def test_warn_keeps_a_planted_copy_and_says_so(read, meadow, garden, ours):
    original = plant(garden, ours, "test", meadow / "roses/copy.jpg", CHANGES["mirrored"])

    source = read(meadow, leaks="warn")

    assert source.num_used == 7
    assert source.leaks.dropped == ()
    assert source.leaks.sentence("external").endswith(f"roses/copy.jpg (test: {original})")


def test_fail_refuses_a_planted_copy(read, meadow, garden, ours):
    original = plant(garden, ours, "val", meadow / "roses/copy.jpg", CHANGES["resized"])

    with pytest.raises(DataError, match=r"^1 external image is a copy of") as error:
        read(meadow, leaks="fail")

    assert f"roses/copy.jpg (val: {original})" in str(error.value)


def test_keep_is_silent_about_a_planted_copy_but_remembers_it(read, meadow, garden, ours):
    plant(garden, ours, "test", meadow / "roses/copy.jpg", CHANGES["resized"])

    source = read(meadow, leaks="keep")

    assert source.num_used == 7
    assert [leak.file for leak in source.leaks.found] == ["roses/copy.jpg"]
    assert source.leaks.sentence("external") is None


def test_a_copy_of_a_training_image_may_stay(read, meadow, garden, ours):
    plant(garden, ours, "train", meadow / "roses/copy.jpg", CHANGES["resized"])

    source = read(meadow)

    assert source.leaks.dropped == ()
    assert source.num_used == 7


def test_a_copy_in_a_class_that_is_not_used_is_not_listed(read, meadow, garden, ours):
    plant(garden, ours, "test", meadow / "nettle/copy.jpg", CHANGES["resized"])

    assert read(meadow).leaks.dropped == ()


def test_a_broken_image_moves_no_label_and_no_copy(read, meadow, garden, ours):
    (meadow / "Daisies/0.png").write_bytes(b"words")
    plant(garden, ours, "test", meadow / "roses/copy.jpg", CHANGES["resized"])

    source = read(meadow)

    assert [problem.path for problem in source.data.manifest.problems] == ["Daisies/0.png"]
    assert source.leaks.dropped == ("roses/copy.jpg",)
    examples = source.examples_at(32)
    assert [identity.split("/")[1] for identity in examples.ids] == ["Daisies"] * 2 + ["roses"] * 3
    assert examples.labels.tolist() == [0, 0, 1, 1, 1]


def test_the_probe_leaves_out_a_class_that_looks_like_another(read, meadow, monkeypatch):
    seen = np.array([0, 0, 2, 2, 2, 2, 2, 2, 2])
    monkeypatch.setattr(external_module, "_make_probe", lambda *_arguments: lambda data: seen)

    source = read(meadow, probe_with="efficientnet_lite0")

    daisies, _, roses = source.decisions
    assert (daisies.is_used, daisies.agreement) == (True, pytest.approx(2 / 3))
    assert (roses.is_used, roses.agreement) == (False, 0.0)
    assert source.labels.tolist() == [0, 0, 0] + [-1] * 6


def test_one_probe_looks_at_all_data_sets(ours, read, meadow, tmp_path, draw_pictures, monkeypatch):
    fitted, fit_head = [], features.fit_head
    monkeypatch.setattr(features, "fit_head", lambda *a: fitted.append(a) or fit_head(*a))
    colours = {"tulip": (60, 60, 220), "weed": (30, 160, 50)}
    field = draw_pictures(tmp_path / "field", {"": 2}, colours, seed=2000)
    options = {**OPTIONS, "probe_with": "efficientnet_lite0", "cache": tmp_path / "c"}

    together = read_sources([str(meadow), str(field)], ours, **options)

    assert len(fitted) == 1
    alone = [read(each, probe_with="efficientnet_lite0") for each in (meadow, field)]
    assert [one.decisions for one in together] == [one.decisions for one in alone]


def test_a_persons_word_is_taken(read, meadow):
    source = read(meadow, label_map={"nettle": "tulip", "roses": None})

    assert source.labels.tolist() == [0, 0, 0, 2, 2, 2, -1, -1, -1]


def test_a_name_in_the_map_that_no_data_set_has_is_answered_with_the_nearest(read, meadow):
    with pytest.raises(ConfigError, match=r"'netle'.*Did you mean 'nettle'"):
        read(meadow, label_map={"netle": "tulip"})


def test_one_map_serves_several_data_sets(ours, meadow, tmp_path, draw_pictures):
    colours = {"tulip": (60, 60, 220), "weed": (30, 160, 50)}
    field = draw_pictures(tmp_path / "field", {"": 2}, colours, seed=2000)
    sources = read_sources(
        [str(meadow), str(field)],
        ours,
        **{**OPTIONS, "label_map": {"nettle": "tulip", "weed": "daisy"}},
        cache=tmp_path / "c",
    )

    assert sources[0].labels.tolist() == [0, 0, 0, 2, 2, 2, 1, 1, 1]
    assert sources[1].labels.tolist() == [2, 2, 0, 0]


def test_data_sets_of_all_kinds_join_in_one_training_set(ours, meadow, tmp_path, draw_pictures):
    field = draw_pictures(
        tmp_path / "field", {"": 2}, {"tulip": (60, 60, 220)} | COLOURS, seed=2000
    )
    convert(str(field), tmp_path / "records")
    wood = draw_pictures(tmp_path / "wood", {"": 2}, COLOURS, seed=3000)
    lines = [f"{path.relative_to(wood)},{path.parent.name}" for path in wood.rglob("*.png")]
    (wood / "list.csv").write_text("\n".join(["path,label", *lines]))
    label_map = {"nettle": "tulip", "meadow": {"nettle": None}, "list": {"roses": None}}
    addresses = [str(meadow), str(tmp_path / "records"), str(wood / "list.csv")]
    sources = read_sources(
        addresses, ours, **{**OPTIONS, "label_map": label_map}, cache=tmp_path / "c"
    )

    joined = join_sources(sources, 32).at(32)

    assert [source.name for source in sources] == ["meadow", "records", "list"]
    assert [source.num_used for source in sources] == [6, 8, 4]
    assert np.bincount(joined.labels).tolist() == [3 + 2 + 2, 3 + 2, 2 + 2 + 2]
    alone = np.concatenate(
        [source.examples_at(32).take(np.arange(source.num_used)) for source in sources]
    )
    np.testing.assert_array_equal(joined.take(np.arange(len(joined))), alone)


def test_each_data_set_may_have_a_map_of_its_own(ours, meadow, tmp_path, draw_pictures):
    colours = {"nettle": (30, 160, 50), "roses": (60, 60, 220)}
    field = draw_pictures(tmp_path / "b/meadow", {"": 2}, colours, seed=2000)
    label_map = {"meadow": {"nettle": "tulip"}, "meadow 2": {"roses": "tulip"}}
    sources = read_sources(
        [str(meadow), str(field)],
        ours,
        **{**OPTIONS, "label_map": label_map},
        cache=tmp_path / "c",
    )

    assert [source.name for source in sources] == ["meadow", "meadow 2"]
    assert sources[0].labels.tolist() == [0, 0, 0, 2, 2, 2, 1, 1, 1]
    assert sources[1].labels.tolist() == [-1, -1, 2, 2]


def test_one_of_several_data_sets_may_be_of_no_use(ours, meadow, tmp_path, draw_pictures):
    colours = {"dock": (30, 160, 50), "nettle": (30, 120, 50)}
    weeds = draw_pictures(tmp_path / "weeds", {"": 1}, colours, seed=3000)
    sources = read_sources([str(weeds), str(meadow)], ours, **OPTIONS, cache=tmp_path / "c")

    joined = join_sources(sources, 32)

    assert [source.num_used for source in sources] == [0, 6]
    assert len(joined.at(32)) == 6


def test_a_data_set_without_a_usable_class_is_refused(read, tmp_path, draw_pictures):
    colours = {"dock": (30, 160, 50), "nettle": (30, 120, 50)}
    weeds = draw_pictures(tmp_path / "weeds", {"": 1}, colours, seed=3000)

    with pytest.raises(DataError, match=r"None of the 2 classes of `.*weeds` can be used"):
        read(weeds)


def test_joined_sources_follow_one_another(read, meadow, tmp_path, draw_pictures):
    colours = {"daisy": (230, 210, 60), "tulip": (60, 60, 220)}
    field = draw_pictures(tmp_path / "field", {"": 2}, colours, seed=2000)
    sources = [read(meadow), read(field)]

    joined = join_sources(sources, 32)

    examples = joined.at(16)
    assert joined.count == len(examples) == 10
    assert examples.labels.tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 2, 2]
    assert examples.ids[0] == "meadow/Daisies/0.png"
    assert examples.ids[-1] == "field/tulip/1.png"
    assert examples.take(np.arange(10)).shape == (10, 16, 16, 3)


def test_the_content_of_joined_sources_changes_with_what_is_used(
    read, meadow, tmp_path, garden, ours
):
    before = join_sources([read(meadow)], 32).content

    assert join_sources([read(meadow)], 16).content == before
    other_label = read(meadow, label_map={"roses": "tulip"})
    assert join_sources([other_label], 32).content != before
    plant(garden, ours, "test", meadow / "roses/copy.jpg", CHANGES["resized"])
    assert join_sources([read(meadow)], 32).content == before  # the copy is dropped
    (meadow / "roses/copy.jpg").write_bytes((meadow / "roses/0.png").read_bytes())
    assert join_sources([read(meadow)], 32).content != before


def test_external_images_that_are_all_copies_leave_nothing(read, meadow, garden, ours):
    for path in meadow.rglob("*.png"):
        if path.parent.name != "nettle":
            plant(garden, ours, "test", path, CHANGES["resized"])

    source = read(meadow)

    assert len(source.leaks.dropped) == 6
    assert source.num_used == join_sources([source], 32).count == 0


def test_a_real_probe_tells_a_flower_from_its_namesake(read, tmp_path, draw_pictures):
    """With ImageNet weights: what they call a tulip is yellow, as only our daisies are."""
    colours = {"daisy": (230, 210, 60), "tulip": (230, 210, 60)}
    root = draw_pictures(tmp_path / "namesakes", {"": 6}, colours, seed=4000)

    daisies, tulips = read(root, probe_with="efficientnet_lite0").decisions

    assert daisies.agreement > 0.8
    assert daisies.is_used
    assert tulips.agreement < 0.2
    assert not tulips.is_used

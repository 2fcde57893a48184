"""Tests for the drawn flowers."""

import dataclasses
import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from automl_flowers.data.drawing import (
    GARDEN,
    INDOORS,
    LOOK_ALIKES,
    SPECIES,
    choose_classes,
    draw_flower,
    species_for,
)
from automl_flowers.data.drawing.easel import Sprite, View, stamp
from automl_flowers.data.drawing.scenery import BACKGROUNDS, paint_background
from automl_flowers.data.drawing.textures import petal_sprite, rgb
from automl_flowers.data.drawing.traits import Palette, Petal
from automl_flowers.data.labels import COMPETITION_CLASS_NAMES, COMPETITION_CLASSES

PETAL = Petal(width=0.4, taper=0.5, pointedness=0.3)
RED_TO_BLUE = Palette("#ff0000", "#0000ff")


def draw(species, *seed, size=32, **options):
    return draw_flower(species, np.random.default_rng(seed), size, **options)


def all_colours(value):
    """Yield every colour in a species: all of its strings that are no choice of a kind."""
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            if field.name not in ("form", "pattern", "kind"):
                yield from all_colours(getattr(value, field.name))
    elif isinstance(value, tuple):
        for part in value:
            yield from all_colours(part)
    elif isinstance(value, str):
        yield value


def test_competition_has_104_classes_with_16465_labelled_images():
    assert len(COMPETITION_CLASSES) == len(set(COMPETITION_CLASS_NAMES)) == 104
    assert sum(count for _, count in COMPETITION_CLASSES) == 16_465
    assert all(name == name.strip() for name in COMPETITION_CLASS_NAMES)
    assert COMPETITION_CLASSES[0] == ("pink primrose", 351)
    assert COMPETITION_CLASSES[103] == ("wild rose", 959)


def test_every_class_has_a_species_of_its_own():
    assert set(SPECIES) == set(COMPETITION_CLASS_NAMES)
    assert len(set(SPECIES.values())) == 104
    assert species_for(48) is SPECIES["daisy"]


@pytest.mark.parametrize("name", SPECIES)
def test_every_entry_can_be_drawn(name):
    for look in (GARDEN, INDOORS):
        image = draw(SPECIES[name], 1, look=look)

        assert image.shape == (32, 32, 3)
        assert image.dtype == np.uint8
        assert image.std() > 5


@pytest.mark.parametrize("name", SPECIES)
def test_every_entry_names_colours_that_exist(name):
    assert all(rgb(colour).shape == (3,) for colour in all_colours(SPECIES[name]))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), label=st.integers(0, 103), size=st.integers(16, 64))
def test_equal_generators_give_equal_pictures(seed, label, size):
    first, second = (draw(species_for(label), seed, size=size) for _ in range(2))

    assert first.shape == (size, size, 3)
    np.testing.assert_array_equal(first, second)


def test_other_generators_give_other_pictures():
    pictures = {draw(SPECIES["daisy"], seed).tobytes() for seed in range(10)}

    assert len(pictures) == 10


def test_another_process_draws_the_same_bits():
    code = (
        "import hashlib, numpy as np\n"
        "from automl_flowers.data.drawing import draw_flower, species_for\n"
        "for label in range(0, 104, 8):\n"
        "    image = draw_flower(species_for(label), np.random.default_rng((label,)), 48)\n"
        "    print(hashlib.sha256(image.tobytes()).hexdigest())\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    there = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    ).stdout.split()

    here = [
        hashlib.sha256(draw(species_for(label), label, size=48).tobytes()).hexdigest()
        for label in range(0, 104, 8)
    ]
    assert there == here


def test_drawing_needs_neither_tensorflow_nor_keras():
    code = "import sys, automl_flowers.data.drawing; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    assert not {"tensorflow", "keras"} & set(loaded)


@pytest.mark.parametrize("kind", BACKGROUNDS)
def test_every_background_fills_the_canvas(kind):
    image = paint_background(64, kind, (), np.random.default_rng(0))

    assert image.size == (64, 64)
    assert image.mode == "RGB"
    assert np.asarray(image).max() > 0


@pytest.mark.parametrize("look", [GARDEN, INDOORS])
def test_looks_divide_all_pictures_among_backgrounds_that_exist(look):
    assert sum(look.backgrounds.values()) == pytest.approx(1)
    assert set(look.backgrounds) <= set(BACKGROUNDS)


def test_petal_shades_from_its_base_to_its_tip_and_is_clear_outside():
    sprite = petal_sprite(PETAL, RED_TO_BLUE, np.random.default_rng(0), 100)
    texture = np.asarray(sprite.shaded(1.0)).astype(int)

    middle = texture[texture.shape[0] // 2]
    near_base, near_tip = middle[len(middle) // 4], middle[len(middle) * 4 // 5]
    assert near_base[0] > near_base[2]
    assert near_tip[2] > near_tip[0]
    assert near_base[3] == near_tip[3] == 255
    assert texture[0, 0, 3] == texture[-1, -1, 3] == 0


def test_brightness_never_wraps_around():
    white = Sprite(np.full((4, 4, 4), 255, dtype=np.uint8), (0, 1, 0, 1))

    darker, brighter = (np.asarray(white.shaded(level)) for level in (0.0, 9.0))

    assert 150 < darker[0, 0, 0] < 190
    assert brighter[0, 0, 0] == 255
    assert (darker[..., 3] == 255).all()


def test_stamp_lands_where_its_placement_says():
    red = Sprite(np.full((8, 8, 4), (255, 0, 0, 255), dtype=np.uint8), (0, 1, 0, 1))
    canvas = Image.new("RGB", (20, 20))

    stamp(canvas, red, (complex(5, 10), complex(10, 0), complex(0, 4)))

    reds = np.argwhere(np.asarray(canvas)[..., 0] > 200)
    assert reds.min(axis=0).tolist() == [10, 5]
    assert reds.max(axis=0).tolist() == [13, 14]


@pytest.mark.parametrize(
    "placement",
    [
        (complex(500, 500), complex(10, 0), complex(0, 10)),
        (complex(5, 5), complex(10, 0), complex(20, 0)),
    ],
    ids=["beside the canvas", "seen from its edge"],
)
def test_stamp_that_cannot_be_seen_changes_nothing(placement):
    red = Sprite(np.full((8, 8, 4), (255, 0, 0, 255), dtype=np.uint8), (0, 1, 0, 1))
    canvas = Image.new("RGB", (20, 20))

    stamp(canvas, red, placement)

    assert not np.asarray(canvas).any()


def test_tilted_view_foreshortens_and_turns_the_axis_upwards():
    view = View(complex(50, 50), scale=10, tilt=60, roll=0)

    assert view.direction(1, 0, 0) == pytest.approx(complex(10, 0))
    assert view.direction(0, 1, 0) == pytest.approx(complex(0, 5))
    assert view.direction(0, 0, 1).imag < 0
    assert view.depth(0, 1, 0) > 0


def test_look_alikes_are_species_and_appear_once():
    names = [name for group in LOOK_ALIKES for name in group]

    assert set(names) <= set(SPECIES)
    assert len(names) == len(set(names))


@given(num_classes=st.integers(0, 104))
def test_chosen_classes_are_distinct_and_in_the_competitions_order(num_classes):
    classes = choose_classes(num_classes)

    assert len(classes) == num_classes
    assert list(classes) == sorted(set(classes))
    assert set(classes) <= set(choose_classes(min(104, num_classes + 1)))


def test_a_small_choice_holds_look_alikes():
    names = {COMPETITION_CLASS_NAMES[index] for index in choose_classes(3)}

    assert names == set(LOOK_ALIKES[0])

"""Tests for augmentation."""

import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from automl_flowers.data.augmentation import (
    MAX_BLOCK_OUT_ASPECT,
    MIN_BLOCK_OUT_SIDE,
    NUM_PARAMETERS,
    Column,
    about_centre,
    augment,
    block_out,
    blur,
    change_colours,
    compose,
    crop_matrices,
    equalize_table,
    flip_matrices,
    gamma_tables,
    gaussian_kernels,
    hue_saturation_matrices,
    look_up,
    mean_colour,
    mean_filter,
    perspective_matrices,
    rotation_matrices,
    sample_parameters,
    saturate,
    sharpen,
    shear_matrices,
    transform,
    translation_matrices,
    zoom_matrices,
)
from automl_flowers.data.augmentation.arrays import require_exact
from automl_flowers.data.augmentation.mixing import blend
from automl_flowers.errors import UserError
from search_spaces.augmentation import AUGMENTATIONS, LADDER, AugmentationStrength

GOLDEN = Path(__file__).parents[1] / "golden" / "tfa_augmentation.npz"
GOLDEN_RUNGS = GOLDEN.with_name("augmentation_rungs.npz")
HEIGHT, WIDTH = 40, 48

RUNGS = pytest.mark.parametrize("name", LADDER)
ACTIVE_RUNGS = pytest.mark.parametrize("name", [name for name in LADDER if name != "none"])

EXTREME = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0 - 2.0**-24])
"""Numbers that drive an operation to the ends and the middle of its range."""


COLUMNS = {column.name.lower(): int(column) for column in Column}

EVERYTHING = AugmentationStrength(
    flip=0.5,
    rotation=30.0,
    shear=5.0,
    zoom=0.2,
    shift=0.1,
    brightness=0.1,
    contrast=0.2,
    saturation=0.3,
    hue=0.05,
    block_out=0.5,
    block_out_area=0.2,
    flip_vertical=0.5,
    perspective=0.2,
    crop=0.3,
    crop_least=0.1,
    gamma=0.5,
    equalize=0.5,
    vivid=1.0,
    fade=0.2,
    blur=0.02,
    mean_filter=0.05,
    sharpness=1.0,
    grid_mask=0.5,
)
"""Every operation that turns one picture into another."""


STRENGTHS = {**LADDER, "v2": AUGMENTATIONS["v2"], "everything": EVERYTHING}


def numbers_of(num_images, *, seed, epoch):
    return sample_parameters(num_images, seed=seed, epoch=epoch).numpy()


def floats(*numbers):
    return np.array(numbers, np.float32)


def each(operation, images, *arguments):
    """Do to every picture what is done to one, each with its own arguments."""
    return np.stack([operation(*each) for each in zip(images, *arguments, strict=True)])


def noise(seed, num_images=6):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (num_images, HEIGHT, WIDTH, 3), dtype=np.uint8)


def smooth_pictures(seed, num_images=6):
    """Soft coloured blobs on a coloured ground, with no pixel near black or white."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : 1 : HEIGHT * 1j, 0 : 1 : WIDTH * 1j]
    pictures = np.empty((num_images, HEIGHT, WIDTH, 3))
    for picture in pictures:
        picture[:] = rng.uniform(70, 130, 3)
        for _ in range(4):
            centre_y, centre_x = rng.uniform(0.2, 0.8, 2)
            blob = np.exp(-((y - centre_y) ** 2 + (x - centre_x) ** 2) / 0.05)
            picture += blob[..., np.newaxis] * rng.uniform(-50, 70, 3)
    return np.clip(pictures, 30, 225).astype(np.uint8)


def parameters_of(num_images, **columns):
    """Return rows in the middle of every range, but for the numbers given by position."""
    rows = np.full((num_images, NUM_PARAMETERS), 0.5, np.float32)
    for column, value in columns.items():
        rows[:, COLUMNS[column]] = value
    return rows


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def arguments(golden):
    return json.loads(str(golden["arguments"]))


# What it runs on.


@pytest.mark.parametrize("version", ["5.0.0", "5.0.0-pre", "6.1.0", "10.0.0"])
def test_an_opencv_that_interpolates_exactly_is_welcome(version):
    require_exact(version)


@pytest.mark.parametrize("version", ["4.12.0", "3.4.18-dev"])
def test_an_older_opencv_is_refused_with_what_mends_it(version):
    with pytest.raises(UserError, match=f"OpenCV {version} is imported") as error:
        require_exact(version)

    assert "pip uninstall" in error.value.hint


# The table of parameters.


def test_table_has_one_row_an_example_in_the_unit_interval():
    table = sample_parameters(1000, seed=0, epoch=0).numpy()

    assert table.shape == (1000, NUM_PARAMETERS)
    assert table.dtype == np.float32
    assert table.min() >= 0.0
    assert table.max() < 1.0
    np.testing.assert_allclose(table.mean(axis=0), 0.5, atol=0.05)


def test_columns_are_independent():
    table = sample_parameters(4000, seed=1, epoch=2).numpy()

    correlations = np.corrcoef(table, rowvar=False) - np.eye(NUM_PARAMETERS)

    assert np.abs(correlations).max() < 0.07


@given(
    seed=st.integers(-(2**63), 2**63 - 1),
    epoch=st.integers(0, 1000),
    num_examples=st.integers(0, 40),
)
@settings(deadline=None, max_examples=25)
def test_row_depends_on_seed_epoch_and_its_place_only(seed, epoch, num_examples):
    short = sample_parameters(num_examples, seed=seed, epoch=epoch).numpy()
    longer = sample_parameters(num_examples + 23, seed=seed, epoch=epoch).numpy()

    np.testing.assert_array_equal(short, longer[:num_examples])


def test_seed_and_epoch_both_matter_and_do_not_swap():
    tables = [
        sample_parameters(4, seed=seed, epoch=epoch).numpy()
        for seed, epoch in ((0, 0), (0, 1), (1, 0), (1, 1), (-1, 0))
    ]

    assert len({table.tobytes() for table in tables}) == len(tables)


def test_epoch_may_be_a_tensor_inside_a_dataset():
    epochs = tf.data.Dataset.range(3).map(lambda epoch: sample_parameters(5, seed=7, epoch=epoch))

    for epoch, table in enumerate(epochs):
        np.testing.assert_array_equal(table, sample_parameters(5, seed=7, epoch=epoch))


def test_numbers_stay_the_same_across_versions():
    table = sample_parameters(1, seed=0, epoch=0).numpy()

    np.testing.assert_allclose(table[0, :3], [0.21101546, 0.70601, 0.80006337], rtol=1e-6)


def test_negative_number_of_examples_is_refused():
    with pytest.raises(ValueError, match="`num_examples` must be at least 0, got -1"):
        sample_parameters(-1, seed=0, epoch=0)


@pytest.mark.parametrize("seed", [2**63, -(2**63) - 1])
def test_seed_of_more_than_64_bits_is_refused(seed):
    with pytest.raises(ValueError, match=f"integer of 64 bits, got {seed}"):
        sample_parameters(1, seed=seed, epoch=0)


# What old recipes rely on.


def test_numbers_of_a_row_are_those_that_old_recipes_had():
    with np.load(GOLDEN_RUNGS) as golden:
        table = sample_parameters(len(golden["numbers"]), seed=3, epoch=2).numpy()

        np.testing.assert_array_equal(table[:, :15], golden["numbers"])


@pytest.mark.parametrize("name", ["light", "medium", "strong"])
def test_old_rungs_give_the_pictures_that_they_always_gave(name):
    with np.load(GOLDEN_RUNGS) as golden:
        pictures, expected = golden["pictures"], golden[name].astype(int)
    table = numbers_of(len(pictures), seed=3, epoch=2)

    difference = np.abs(augment(pictures, table, AUGMENTATIONS[name]) - expected)

    assert difference.max() <= 1  # another processor may round a few pixels the other way
    assert np.mean(difference != 0) < 1e-3


# What every strength promises.


@given(seed=st.integers(0, 2**32 - 1), num_images=st.integers(1, 4))
@settings(deadline=None, max_examples=20)
def test_strength_none_returns_the_images_bit_for_bit(seed, num_images):
    images = noise(seed, num_images)

    augmented = augment(images, numbers_of(num_images, seed=seed, epoch=0), STRENGTHS["none"])

    np.testing.assert_array_equal(augmented, images)


@RUNGS
@given(seed=st.integers(0, 2**32 - 1), num_images=st.integers(1, 5))
@settings(deadline=None, max_examples=15)
def test_dtype_and_shape_are_kept(name, seed, num_images):
    images = noise(seed, num_images)

    augmented = augment(images, numbers_of(num_images, seed=seed, epoch=0), STRENGTHS[name])

    assert augmented.dtype == np.uint8
    assert augmented.shape == images.shape


@pytest.mark.parametrize("name", [name for name in STRENGTHS if name != "none"])
@given(seed=st.integers(0, 2**32 - 1), batch_size=st.integers(1, 12), start=st.integers(0, 11))
@settings(deadline=None, max_examples=15)
def test_same_row_gives_the_same_picture_in_any_batch(name, seed, batch_size, start):
    images = noise(seed, 12)
    parameters = numbers_of(12, seed=seed, epoch=3)
    chosen = np.roll(np.arange(12), start)[:batch_size]

    together = augment(images, parameters, STRENGTHS[name])
    in_batch = augment(images[chosen], parameters[chosen], STRENGTHS[name])

    np.testing.assert_array_equal(in_batch, together[chosen])


def test_same_row_gives_the_same_picture_at_odd_sizes():
    strength = EVERYTHING
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (64, 33, 31, 3), dtype=np.uint8)
    parameters = numbers_of(64, seed=0, epoch=0)

    together = augment(images, parameters, strength)
    alone = np.concatenate(
        [augment(images[i : i + 1], parameters[i : i + 1], strength) for i in range(64)]
    )

    np.testing.assert_array_equal(alone, together)


@ACTIVE_RUNGS
@given(row=st.lists(EXTREME, min_size=NUM_PARAMETERS, max_size=NUM_PARAMETERS))
@settings(deadline=None, max_examples=40)
def test_no_rung_destroys_the_picture(name, row):
    pictures = smooth_pictures(seed=5)
    rows = np.tile(np.array(row, np.float32), (len(pictures), 1))

    augmented = augment(pictures, rows, STRENGTHS[name]).astype(np.float64)

    difference = np.abs(augmented - pictures).mean(axis=(1, 2, 3))
    clipped = np.mean((augmented == 0) | (augmented == 255), axis=(1, 2, 3))
    spread = augmented.std(axis=(1, 2)).max(axis=1) / pictures.std(axis=(1, 2)).max(axis=1)
    most = {"heavy": (85.0, 0.35, 0.2)}.get(name, (60.0, 0.15, 0.25))
    assert difference.max() < most[0]
    assert clipped.max() < most[1]
    assert spread.min() > most[2]


@RUNGS
def test_every_rung_keeps_brightness_on_average(name):
    pictures = np.repeat(smooth_pictures(seed=1, num_images=4), 64, axis=0)

    augmented = augment(pictures, numbers_of(len(pictures), seed=3, epoch=0), STRENGTHS[name])

    assert augmented.mean() == pytest.approx(pictures.mean(), abs=4.0)


@RUNGS
def test_middle_of_every_range_but_no_chance_is_no_change(name):
    images = noise(seed=2)
    rows = parameters_of(len(images), flip=0.999, block_out=0.999, grid_mask=0.999, crop=0, blur=0)

    augmented = augment(images, rows, STRENGTHS[name])

    np.testing.assert_array_equal(augmented, images)


@RUNGS
def test_pictures_that_are_given_stay_as_they_are(name):
    images = noise(seed=4, num_images=10)
    images.flags.writeable = False

    augmented = augment(images, numbers_of(10, seed=0, epoch=1), STRENGTHS[name])

    assert name == "none" or not np.shares_memory(augmented, images)


def test_threads_do_not_change_a_picture():
    images = noise(seed=4, num_images=32)
    parameters = numbers_of(32, seed=0, epoch=1)
    expected = augment(images, parameters, EVERYTHING)

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: augment(images, parameters, EVERYTHING), range(12)))

    for augmented in made:
        np.testing.assert_array_equal(augmented, expected)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 8, 8, 3), np.float32),
        np.zeros((8, 8, 3), np.uint8),
        np.zeros((2, 8, 8, 1), np.uint8),
    ],
    ids=["float", "single", "grey"],
)
def test_other_images_are_refused_with_what_was_expected(images):
    with pytest.raises(
        ValueError, match=r"must be uint8 of shape \(batch, height, width, 3\), got"
    ):
        augment(images, parameters_of(2), AugmentationStrength())


def test_table_of_another_width_is_refused_with_the_fix():
    with pytest.raises(ValueError, match="Gather the batch's rows from `sample_parameters`"):
        augment(noise(0, 2), np.zeros((2, 3), np.float32), AugmentationStrength())


# Geometry.


def test_flip_alone_mirrors_exact_pixels_where_the_number_is_below_the_probability():
    images = noise(seed=0, num_images=3)
    rows = parameters_of(3)
    rows[:, COLUMNS["flip"]] = [0.0, 0.29, 0.3]

    augmented = augment(images, rows, AugmentationStrength(flip=0.3))

    np.testing.assert_array_equal(augmented[:2], images[:2, :, ::-1])
    np.testing.assert_array_equal(augmented[2], images[2])


def test_flip_within_the_warp_mirrors_exact_pixels_too():
    images = noise(seed=0)

    augmented = augment(images, parameters_of(len(images), flip=0.0), STRENGTHS["light"])

    np.testing.assert_array_equal(augmented, images[:, :, ::-1])


def test_whole_pixel_shift_moves_the_picture_right_and_mirrors_the_border():
    images = noise(seed=0)
    rows = parameters_of(len(images), shift_x=0.75)

    augmented = augment(images, rows, AugmentationStrength(shift=0.5))

    moved = WIDTH // 4
    np.testing.assert_array_equal(augmented[:, :, moved:], images[:, :, :-moved])
    np.testing.assert_array_equal(augmented[:, :, :moved], images[:, :, :moved][:, :, ::-1])


@pytest.mark.parametrize(("number", "turns"), [(0.25, -1), (0.75, 1), (0.0, 2)])
def test_quarter_turn_is_counterclockwise(number, turns):
    images = noise(seed=0)[:, :, :HEIGHT]
    rows = parameters_of(len(images), rotation=number)

    augmented = augment(images, rows, AugmentationStrength(rotation=180.0))

    expected = np.rot90(images, turns, axes=(1, 2))
    assert np.abs(augmented.astype(int) - expected).max() <= 1


def test_zoom_enlarges_about_the_centre_alike_in_both_directions():
    centre = [(WIDTH - 1) / 2, (HEIGHT - 1) / 2, 1.0]

    matrix = about_centre(zoom_matrices(floats(1.25)), HEIGHT, WIDTH)[0]

    np.testing.assert_allclose(matrix @ centre, centre, atol=1e-5)
    np.testing.assert_allclose(matrix[:2, :2], np.eye(2) / 1.25, rtol=1e-6)


def test_first_of_composed_matrices_changes_the_picture_first():
    image = noise(seed=0, num_images=1)[0].astype(np.float32)
    rotate = about_centre(rotation_matrices(floats(0.3)), HEIGHT, WIDTH)
    shift = translation_matrices(floats(5.0), floats(-3.0))

    at_once = transform(image, compose([rotate, shift])[0])
    in_turn = transform(transform(image, rotate[0]), shift[0])

    inside = np.s_[: HEIGHT - 3, 5:]
    np.testing.assert_allclose(at_once[inside], in_turn[inside], atol=0.01)


@given(angle=st.floats(-3.125, 3.125, width=32))
@settings(deadline=None)
def test_rotation_is_orthogonal_and_by_the_angle(angle):
    matrix = rotation_matrices(floats(angle))[0]

    expected = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    np.testing.assert_allclose(matrix[:2, :2], expected, atol=2e-6)


def test_flip_matrix_mirrors_only_flagged_images():
    matrices = flip_matrices(np.array([True, False]))

    np.testing.assert_array_equal(matrices[0], np.diag([-1.0, 1.0, 1.0]))
    np.testing.assert_array_equal(matrices[1], np.eye(3))


@pytest.mark.parametrize("other", [{}, {"rotation": 1.0}], ids=["alone", "within the warp"])
def test_vertical_flip_mirrors_exact_pixels_where_the_number_says_so(other):
    images = noise(seed=0, num_images=3)
    rows = parameters_of(3)
    rows[:, COLUMNS["flip_vertical"]] = [0.0, 0.29, 0.3]

    augmented = augment(images, rows, AugmentationStrength(flip_vertical=0.3, **other))

    np.testing.assert_array_equal(augmented[:2], images[:2, ::-1])
    np.testing.assert_array_equal(augmented[2], images[2])


@given(cut=st.integers(0, 20), x=st.sampled_from([0.0, 0.5, 1.0]))
@settings(deadline=None, max_examples=20)
def test_crop_is_cut_and_resized_by_tf_image(cut, x):
    images = noise(seed=0, num_images=1)[:, :, :HEIGHT]
    start, side = round(x * cut), HEIGHT - cut
    scale, left = floats(side / HEIGHT), floats(start)

    cropped = each(transform, images.astype(np.float32), crop_matrices(scale, left, left))

    part = images[:, start : start + side, start : start + side]
    expected = tf.image.resize(part.astype(np.float32), (HEIGHT, HEIGHT)).numpy()
    np.testing.assert_allclose(cropped[:, 2:-2, 2:-2], expected[:, 2:-2, 2:-2], atol=0.02)


@given(numbers=st.lists(EXTREME, min_size=3, max_size=3), crop=st.floats(0.0, 0.7))
@settings(deadline=None, max_examples=30)
def test_crop_shows_nothing_beyond_the_picture(numbers, crop):
    columns = dict(zip(("crop", "crop_x", "crop_y"), numbers, strict=True))
    ramp = np.broadcast_to(np.arange(WIDTH, dtype=np.uint8)[:, np.newaxis], (1, HEIGHT, WIDTH, 3))

    shown = augment(ramp, parameters_of(1, **columns), AugmentationStrength(crop=crop))

    assert (np.diff(shown[0, 0, :, 0].astype(int)) >= 0).all()  # not mirrored anywhere
    assert np.ptp(shown[0, 0, :, 0]) >= (1 - crop) * (WIDTH - 1) - 2


def test_perspective_keeps_the_middle_and_straight_lines():
    x, y = floats(0.004), floats(-0.006)

    matrix = about_centre(perspective_matrices(x, y), HEIGHT, WIDTH)[0]
    line = [matrix @ [column, 0.4 * column + 3, 1] for column in (2, 20, 40)]

    centre = matrix @ [(WIDTH - 1) / 2, (HEIGHT - 1) / 2, 1.0]
    np.testing.assert_allclose(centre, [(WIDTH - 1) / 2, (HEIGHT - 1) / 2, 1.0], atol=1e-5)
    assert np.linalg.det(line) == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize(("number", "smaller"), [(0.0, "right"), (1.0 - 2.0**-24, "left")])
def test_perspective_makes_one_side_smaller(number, smaller):
    images = np.zeros((1, HEIGHT, WIDTH, 3), np.uint8)
    images[:, 12:-12] = 255
    rows = parameters_of(1, perspective_x=number)

    tilted = augment(images, rows, AugmentationStrength(perspective=0.3))

    left, right = ((tilted[0, :, x, 0] > 127).sum() for x in (2, WIDTH - 3))
    assert (left < right) == (smaller == "left")


def test_exactly_one_of_both_mirrors_and_a_crop():
    images = smooth_pictures(seed=0, num_images=3)
    rows = parameters_of(3, block_out=0.999)
    rows[:, COLUMNS["flip"]] = [0.2, 0.5, 0.8]

    augmented = augment(images, rows, STRENGTHS["v2"])

    np.testing.assert_array_equal(augmented[0], images[0, :, ::-1])
    np.testing.assert_array_equal(augmented[1], images[1, ::-1])
    cut = AUGMENTATIONS["v2"].crop - AUGMENTATIONS["v2"].crop_least
    assert cut == pytest.approx(0.2)
    cropped = tf.image.central_crop(images[2].astype(np.float32), 0.8)
    resized = tf.image.resize(cropped, (HEIGHT, WIDTH)).numpy()
    assert np.abs(augmented[2].astype(float) - resized).mean() < 1.5


# Tone.


@given(gamma=st.floats(0.1, 2.0), column=EXTREME)
@settings(deadline=None, max_examples=15)
def test_gamma_is_that_of_tf_image(gamma, column):
    images = noise(seed=0, num_images=1)
    strength = AugmentationStrength(gamma=gamma)

    augmented = augment(images, parameters_of(1, gamma=column), strength)

    exponent = (1 + gamma) ** (2 * min(int(column * 33), 32) / 32 - 1)
    expected = 255 * tf.image.adjust_gamma(images / np.float32(255), exponent).numpy()
    assert np.abs(augmented - expected).max() <= 0.501


def test_gammas_are_even_about_no_change():
    tables = gamma_tables(np.array([0.5, 1.0, 2.0]))

    np.testing.assert_allclose(tables[1], np.arange(256), atol=1e-4)
    np.testing.assert_array_equal(tables[:, [0, 255]], [[0.0, 255.0]] * 3)
    assert (np.diff(tables, axis=1) > 0).all()


def test_equalize_happens_where_the_number_is_below_the_probability():
    images = smooth_pictures(seed=0, num_images=2)
    rows = parameters_of(2)
    rows[:, COLUMNS["equalize"]] = [0.29, 0.3]

    augmented = augment(images, rows, AugmentationStrength(equalize=0.3))

    assert np.ptp(augmented[0], axis=(0, 1)).tolist() == [255, 255, 255]
    np.testing.assert_array_equal(augmented[1], images[1])


def test_channel_of_one_level_is_not_equalized():
    table = equalize_table(np.full((8, 8, 3), [10, 20, 255], np.uint8))

    np.testing.assert_array_equal(table, np.arange(256)[:, np.newaxis].repeat(3, axis=1))


# Filters.


def test_blur_spreads_a_point_alike_in_all_directions():
    image = np.zeros((21, 21, 3), np.float32)
    image[10, 10] = 1.0

    blurred = blur(image, gaussian_kernels(np.array([1.7]), 11)[0])

    np.testing.assert_allclose(blurred.sum(axis=(0, 1)), 1.0, rtol=1e-5)
    np.testing.assert_allclose(blurred, blurred.transpose(1, 0, 2), atol=1e-7)
    np.testing.assert_allclose(blurred, blurred[::-1], atol=1e-7)


@pytest.mark.parametrize("strength", [{"blur": 0.02}, {"sharpness": 1.0}, {"mean_filter": 0.05}])
def test_filters_leave_a_plain_picture_as_it_is(strength):
    images = np.full((2, HEIGHT, WIDTH, 3), [7, 77, 177], np.uint8)
    rows = parameters_of(2, blur=0.99, sharpness=0.99)

    augmented = augment(images, rows, AugmentationStrength(**strength))

    np.testing.assert_array_equal(augmented, images)


@pytest.mark.parametrize(("number", "sign"), [(0.0, -1), (0.999, 1)])
def test_sharpness_goes_from_smooth_to_sharp(number, sign):
    images = smooth_pictures(seed=0)

    augmented = augment(
        images, parameters_of(6, sharpness=number), AugmentationStrength(sharpness=1.0)
    )

    edges, before = (np.abs(np.diff(p.astype(float), axis=1)).mean() for p in (augmented, images))
    assert sign * (edges - before) > 0


# Colour.


@pytest.mark.parametrize("factor", [0.0, 0.5, 3.0, 5.0])
def test_vivid_colours_are_those_of_tf_image(factor):
    images = noise(seed=0, num_images=2).astype(np.float32)
    images[0, 0] = [[0.0, 0.0, 0.0]]
    images[1] -= 150.0  # as a darkened picture that is not clipped

    vivid = each(saturate, images, [factor, factor])

    expected = 255 * tf.image.adjust_saturation(images / 255, factor).numpy()
    np.testing.assert_allclose(vivid, expected, atol=2e-3)


def test_the_third_recipe_changes_colours_in_the_order_of_the_notebook():
    images = noise(seed=0, num_images=3)
    rows = parameters_of(3, brightness=[0.1, 0.5, 0.8], vivid=[0.0, 0.5, 1.0], contrast=0.5)
    strength = AugmentationStrength(brightness=0.6, vivid=4.0, contrast=0.1, fade=0.6)

    augmented = augment(images, rows, strength)

    expected = []
    for image, added, factor in zip(images, (-0.48, 0.0, 0.36), (3.0, 4.0, 5.0), strict=True):
        changed = tf.image.adjust_brightness(image.astype(np.float32) / 255, added)
        changed = tf.image.adjust_saturation(changed, factor)
        changed = tf.image.adjust_contrast(changed, 0.4)
        expected.append(np.clip(255 * changed.numpy(), 0, 255))
    np.testing.assert_allclose(augmented, expected, atol=1.0)


def test_brightness_is_added_and_clipped():
    images = noise(seed=0)
    rows = parameters_of(len(images), brightness=0.75)

    augmented = augment(images, rows, AugmentationStrength(brightness=0.4))

    np.testing.assert_array_equal(augmented, np.clip(images.astype(int) + 51, 0, 255))


@pytest.mark.parametrize(("number", "factor"), [(0.0, 0.5), (0.75, 1.25)])
def test_contrast_is_that_of_tf_image(number, factor):
    images = noise(seed=0)
    rows = parameters_of(len(images), contrast=number)

    augmented = augment(images, rows, AugmentationStrength(contrast=0.5))

    expected = tf.image.adjust_contrast(images.astype(np.float32), factor).numpy()
    difference = augmented - np.clip(np.round(expected), 0, 255)
    assert np.abs(difference).max() <= 1
    assert np.mean(difference != 0) < 1e-3


def test_no_saturation_is_the_grey_picture_of_tf_image():
    images = noise(seed=0)
    rows = parameters_of(len(images), saturation=0.0)

    augmented = augment(images, rows, AugmentationStrength(saturation=1.0))

    grey = tf.image.rgb_to_grayscale(images.astype(np.float32)).numpy()
    assert np.abs(augmented - grey).max() <= 0.6


@given(
    angle=st.floats(-3.125, 3.125, width=32),
    factor=st.floats(0.0, 2.0, width=32),
    level=st.floats(0.0, 255.0, width=32),
)
@settings(deadline=None)
def test_grey_stays_grey_whatever_the_hue_and_saturation(angle, factor, level):
    grey = np.full((1, 1, 3), level, np.float32)

    matrices = hue_saturation_matrices(floats(angle), floats(factor))
    changed = change_colours(grey, matrices[0], floats(0, 0, 0))

    np.testing.assert_allclose(changed, level, atol=1e-3)


def test_full_turn_of_the_hue_in_two_halves_is_no_change():
    half = hue_saturation_matrices(floats(math.pi), floats(1.0))

    np.testing.assert_allclose(compose([half, half])[0], np.eye(3), atol=1e-5)


def test_mean_colour_is_that_of_the_rounded_pixels():
    image = np.random.default_rng(0).uniform(0, 255, (9, 7, 3)).astype(np.float32)

    np.testing.assert_allclose(mean_colour(image), np.round(image).mean(axis=(0, 1)), rtol=1e-6)


# Block-out.


def bounding_box(hidden):
    rows, columns = np.flatnonzero(hidden.any(axis=1)), np.flatnonzero(hidden.any(axis=0))
    return rows[0], columns[0], rows[-1] + 1, columns[-1] + 1


@given(numbers=st.lists(EXTREME, min_size=4, max_size=4), area=st.floats(0.05, 0.5))
@settings(deadline=None, max_examples=40)
def test_one_rectangle_of_bounded_area_and_aspect_lies_inside(numbers, area):
    side, aspect, x, y = numbers
    rows = parameters_of(
        1, block_out_side=side, block_out_aspect=aspect, block_out_x=x, block_out_y=y
    )
    y_ramp, x_ramp = np.mgrid[0:HEIGHT, 0:WIDTH]
    image = np.stack([y_ramp, x_ramp, 255 - y_ramp], axis=-1)[np.newaxis].astype(np.uint8)
    strength = AugmentationStrength(block_out=1.0, block_out_area=area)

    augmented = augment(image, rows, strength)[0]

    hidden = (augmented != image[0]).any(axis=-1)
    top, left, bottom, right = bounding_box(hidden)
    height, width = (bottom - top) / HEIGHT, (right - left) / WIDTH
    slack = 1.0 / HEIGHT + 1.0 / WIDTH
    assert len(np.unique(augmented[hidden], axis=0)) == 1
    assert MIN_BLOCK_OUT_SIDE**2 * area - slack <= height * width <= area + slack
    assert height <= MAX_BLOCK_OUT_ASPECT * width + slack
    assert width <= MAX_BLOCK_OUT_ASPECT * height + slack


def test_rectangle_has_the_mean_colour_of_the_picture():
    images = noise(seed=0)
    strength = AugmentationStrength(block_out=1.0, block_out_area=0.25)

    augmented = augment(images, parameters_of(len(images)), strength)

    middle = augmented[:, HEIGHT // 2, WIDTH // 2]
    np.testing.assert_array_equal(middle, np.round(images.mean(axis=(1, 2))))


def test_rectangle_follows_the_colours_of_the_changed_picture():
    pictures = smooth_pictures(seed=0)
    strength = AugmentationStrength(
        brightness=0.2, contrast=0.3, saturation=0.5, hue=0.1, block_out=1.0, block_out_area=0.25
    )
    without = AugmentationStrength(brightness=0.2, contrast=0.3, saturation=0.5, hue=0.1)
    rows = parameters_of(len(pictures), brightness=0.6, contrast=0.2, saturation=0.9, hue=0.7)

    hidden = augment(pictures, rows, strength)
    shown = augment(pictures, rows, without)

    middle = hidden[:, HEIGHT // 2, WIDTH // 2]
    np.testing.assert_allclose(middle, shown.mean(axis=(1, 2)), atol=1.5)


def test_block_out_happens_where_the_number_is_below_the_probability():
    images = noise(seed=0, num_images=2)
    rows = parameters_of(2)
    rows[:, COLUMNS["block_out"]] = [0.19, 0.2]
    strength = AugmentationStrength(block_out=0.2, block_out_area=0.1)

    augmented = augment(images, rows, strength)

    assert (augmented[0] != images[0]).any()
    np.testing.assert_array_equal(augmented[1], images[1])


def test_rectangle_without_height_paints_nothing():
    image = noise(seed=0, num_images=1)[0]
    painted = image.copy()

    block_out(painted, np.array([3, 4, 0, 9]), [0, 0, 0])

    np.testing.assert_array_equal(painted, image)


# GridMask.


@given(numbers=st.lists(EXTREME, min_size=4, max_size=4))
@settings(deadline=None, max_examples=25)
def test_a_grid_hides_about_a_quarter_in_the_mean_colour(numbers):
    columns = dict(zip(("grid_cell", "grid_angle", "grid_x", "grid_y"), numbers, strict=True))
    images = np.full((1, 100, 100, 3), [10, 20, 30], np.uint8)
    images[:, ::2] = [30, 40, 50]

    masked = augment(images, parameters_of(1, **columns), AugmentationStrength(grid_mask=1.0))

    hidden = (masked != images).any(axis=-1)
    np.testing.assert_array_equal(masked[hidden], np.broadcast_to([20, 30, 40], (hidden.sum(), 3)))
    assert 0.1 < hidden.mean() < 0.45


def test_a_grid_is_drawn_where_the_number_is_below_the_probability():
    images = noise(seed=0, num_images=2)
    rows = parameters_of(2)
    rows[:, COLUMNS["grid_mask"]] = [0.19, 0.2]

    augmented = augment(images, rows, AugmentationStrength(grid_mask=0.2))

    assert (augmented[0] != images[0]).any()
    np.testing.assert_array_equal(augmented[1], images[1])


# Against tensorflow-addons 0.23.


def test_golden_blur(golden, arguments):
    images, case = golden["x_f32_255"], arguments["gaussian_k5_s1.5_REFLECT"]
    kernels = gaussian_kernels(np.full(len(images), case["sigma"]), case["filter_shape"])

    blurred = each(blur, images, kernels)

    np.testing.assert_allclose(blurred, golden["gaussian_k5_s1.5_REFLECT"], atol=1e-3)


def test_golden_mean_filter(golden, arguments):
    size = arguments["mean_filter"]["filter_shape"]

    filtered = [mean_filter(image, size) for image in golden["x_f32_255"]]

    np.testing.assert_allclose(filtered, golden["mean_filter"], atol=1e-3)


@pytest.mark.parametrize(("factor", "low", "high"), [(0.0, 0.0, 1.0), (1.9, -1.4, 0.5)])
def test_golden_sharpness_but_for_its_smooth_version_that_is_truncated(golden, factor, low, high):
    sharpened = np.stack([sharpen(image.astype(np.float32), factor) for image in golden["x_u8"]])

    difference = np.clip(sharpened, 0, 255) - golden[f"sharpness_{factor}"]
    assert difference.min() >= low - 1e-3  # 1 - factor times what is cut off, and half a level
    assert difference.max() <= high + 1e-3


@pytest.mark.parametrize("case", ["equalize_u8", "equalize_u8_lowcontrast"])
def test_golden_equalize(golden, case):
    images = golden[case.replace("equalize", "x")]

    equalized = [look_up(image, equalize_table(image)) for image in images]

    np.testing.assert_array_equal(equalized, golden[case])


@pytest.mark.parametrize("case", ["blend_0.0", "blend_0.5", "blend_1.0"])
def test_golden_blend(golden, arguments, case):
    image, other = golden["x_u8"]

    blended = blend(image, other, arguments[case]["factor"])

    np.testing.assert_array_equal(blended, golden[case])


def test_golden_rotation_matrices(golden, arguments):
    case = arguments["angles_to_projective"]

    matrices = about_centre(rotation_matrices(floats(*case["angles"])), case["h"], case["w"])

    flat = np.reshape(matrices, (-1, 9))
    np.testing.assert_allclose(flat[:, :8], golden["angles_to_projective"], atol=1e-5)
    np.testing.assert_array_equal(flat[:, 8], 1.0)


def test_golden_rotation(golden, arguments):
    images = golden["x_f32_255"]
    angles = floats(*arguments["rotate_bilinear_reflect_0"]["angles"])
    matrices = about_centre(rotation_matrices(angles), *images.shape[1:3])

    rotated = each(transform, images, matrices)

    np.testing.assert_allclose(rotated, golden["rotate_bilinear_reflect_0"], atol=0.01)


def places_seen(matrix, height, width):
    """Return where in the input each pixel of the output lies, `(2, height, width)`, as (x, y)."""
    y, x = np.mgrid[0:height, 0:width]
    x, y, scale = np.tensordot(matrix.astype(np.float64), [x, y, np.ones_like(x)], axes=1)
    return np.stack([x / scale, y / scale])


def assert_equal_inside(transformed, expected, matrices):
    """Compare pictures where they show nothing from beyond their borders, black in `expected`."""
    height, width = expected.shape[1:3]
    for ours, theirs, matrix in zip(transformed, expected, matrices, strict=True):
        x, y = places_seen(matrix, height, width)
        inside = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
        assert inside.mean() > 0.5
        np.testing.assert_allclose(ours[inside], theirs[inside], atol=0.01)


def test_golden_transform(golden, arguments):
    rows = np.array(arguments["transform_bilinear"]["transforms"], np.float32)
    matrices = np.concatenate([rows, np.ones((len(rows), 1), np.float32)], axis=1)
    matrices = matrices.reshape(-1, 3, 3)

    transformed = each(transform, golden["x_f32_255"], matrices)

    assert_equal_inside(transformed, golden["transform_bilinear"], matrices)


def test_golden_translation(golden, arguments):
    right, down = np.array(arguments["translate_bilinear"]["translations"], np.float32).T
    matrices = translation_matrices(right, down)

    shifted = each(transform, golden["x_f32_255"], matrices)

    assert_equal_inside(shifted, golden["translate_bilinear"], matrices)


def test_golden_shear(golden, arguments):
    image, case = golden["x_u8"][0], arguments["shear_x_u8"]
    height, width, _ = image.shape

    places = places_seen(shear_matrices(floats(case["level"]))[0], height, width)

    x, y = np.rint(places).astype(int)  # tensorflow-addons takes the nearest pixel
    inside = (x >= 0) & (x < width)
    np.testing.assert_array_equal(image[y[inside], x[inside]], golden["shear_x_u8"][inside])


def test_golden_hue_and_saturation(golden, arguments):
    images, case = golden["x_f32_01"], arguments["adjust_hsv_in_yiq"]
    angle, factor = floats(case["delta_hue"]), floats(case["scale_saturation"])

    matrix = case["scale_value"] * hue_saturation_matrices(angle, factor)[0]
    changed = [change_colours(image, matrix, floats(0, 0, 0)) for image in images]

    np.testing.assert_allclose(changed, golden["adjust_hsv_in_yiq"], atol=1e-6)


def test_golden_cutout(golden, arguments):
    images, case = golden["x_f32_255"].copy(), arguments["cutout"]
    height, width = case["mask_size"]

    for image, (y, x) in zip(images, case["offset"], strict=True):
        rectangle = np.array([y - height // 2, x - width // 2, height, width])
        block_out(image, rectangle, case["constant_values"])

    np.testing.assert_array_equal(images, golden["cutout"])

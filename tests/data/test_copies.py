"""Tests for finding copies: by windows' descriptors, confirmed by laying one over the other."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from automl_flowers.data.copies import (
    Copies,
    descriptors,
    find_copies,
    find_copies_among,
    find_copies_within,
    group_copies,
)
from automl_flowers.data.copies import find as copies_module
from automl_flowers.data.copies.equal import MAX_LINKS, link_across, link_within
from automl_flowers.data.copies.fingerprints import Fingerprints, thumbnail
from automl_flowers.data.copies.neighbours import (
    find_windows,
    most_similar,
    most_similar_of_both,
)
from tests.data.textures import CHANGES, crop, recompress, texture

NUM_PICTURES = 24
SERIAL = itertools.count()  # no two files have equal bytes


def prints(images, digests=None, pixel_digests=None):
    made = [thumbnail(image) for image in images]
    return as_prints(np.array(made, np.uint8).reshape(-1, 64, 64), digests, pixel_digests)


def as_prints(thumbnails, digests=None, pixel_digests=None):
    ids, digests, pixel_digests = (
        given or tuple(f"{next(SERIAL)}" for _ in thumbnails)
        for given in (None, digests, pixel_digests)
    )
    return Fingerprints(ids, digests, pixel_digests, thumbnails)


def pairs(found):
    return list(zip(found.left.tolist(), found.right.tolist(), strict=True))


@pytest.fixture(scope="module")
def originals():
    return [texture(seed) for seed in range(NUM_PICTURES)]


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_pictures_are_found_and_no_others(originals, change):
    changed = [change(image) for image in originals]

    found = find_copies(prints(changed), prints(originals))

    assert set(pairs(found)) <= {(k, k) for k in range(NUM_PICTURES)}
    assert len(found) >= 0.9 * NUM_PICTURES
    assert ((found.agreement > 0.8) & (found.agreement < 1.0001)).all()


def test_a_mirrored_picture_is_called_mirrored_and_an_upright_one_is_not(originals):
    mixed = [
        CHANGES["mirrored" if number % 2 else "resized"](image)
        for number, image in enumerate(originals)
    ]

    found = find_copies(prints(mixed), prints(originals))

    assert found.is_mirrored.tolist() == [bool(number % 2) for number in found.left]


def test_different_pictures_are_no_copies(originals):
    others = [texture(1000 + seed) for seed in range(60)]

    assert len(find_copies(prints(others), prints(originals))) == 0
    assert len(find_copies_within(prints(others))) == 0


def test_left_and_right_may_be_exchanged(originals):
    names = list(CHANGES)
    left = [CHANGES[names[n % len(names)]](image) for n, image in enumerate(originals)]
    one, other = prints(left), prints(originals[::-1])

    there, back = find_copies(one, other), find_copies(other, one).swapped()

    assert set(pairs(there)) == set(pairs(back))
    order = np.lexsort((back.right, back.left))
    np.testing.assert_allclose(back.agreement[order], there.agreement, atol=1e-4)
    assert back.is_mirrored[order].tolist() == there.is_mirrored.tolist()


def test_the_order_of_pictures_does_not_matter(originals):
    mixed = [*originals, *(CHANGES["mirrored and cropped"](image) for image in originals[:9])]
    shuffled = np.random.default_rng(0).permutation(len(mixed))

    found = pairs(find_copies_within(prints(mixed)))
    other = pairs(find_copies_within(prints([mixed[row] for row in shuffled])))

    assert found == [(k, NUM_PICTURES + k) for k in range(9)]
    assert {tuple(sorted((shuffled[i], shuffled[k]))) for i, k in other} == set(found)


def test_flat_pictures_are_copies_only_if_their_bytes_are_equal():
    flat = [Image.new("RGB", (40, 40), (200, 30, 90))] * 3
    ramp = Image.linear_gradient("L").resize((40, 40)).convert("RGB")
    images = [*flat, ramp, ramp.rotate(180)]

    found = find_copies_within(prints(images, ("same", "other", "same", "up", "down")))

    assert pairs(found) == [(0, 2)]
    assert found.has_equal_bytes.all()
    assert found.agreement.tolist() == [1.0]


def test_flat_pictures_with_equal_pixels_are_copies_too():
    flat = [Image.new("RGB", (40, 40), (200, 30, 90))] * 3

    found = find_copies_within(prints(flat, pixel_digests=("same", "other", "same")))

    assert pairs(found) == [(0, 2)]
    assert not found.has_equal_bytes.any()
    assert found.agreement.tolist() == [1.0]


def test_equal_bytes_win_over_what_pixels_say(originals):
    found = find_copies(prints(originals[:2], ("a", "b")), prints(originals[:2], ("b", "x")))

    assert pairs(found) == [(0, 0), (1, 0), (1, 1)]
    assert found.has_equal_bytes.tolist() == [False, True, False]


@pytest.mark.parametrize(("num_left", "num_right"), [(0, 0), (0, 3), (3, 0), (1, 1)])
def test_few_or_no_pictures_are_fine(originals, num_left, num_right):
    found = find_copies(prints(originals[:num_left]), prints(originals[:num_right]))

    assert len(found) == min(num_left, num_right)
    assert len(find_copies_within(prints(originals[:num_left]))) == 0


def test_progress_ends_at_the_total(originals):
    heard = []

    find_copies(prints(originals), prints(originals), lambda *report: heard.append(report))

    what, done, total = heard[-1]
    assert (what, done) == ("comparing pictures that look alike", total)


def test_a_long_search_says_how_far_it_is(originals, monkeypatch):
    monkeypatch.setattr("automl_flowers.data.copies.neighbours.MAX_COMPARISONS", 0)
    heard = []

    find_copies_within(prints(originals), lambda *report: heard.append(report))

    views = len(descriptors.VIEWS)
    assert ("looking for pictures that look alike", views, views) in heard


def test_many_copies_of_one_picture_are_one_group(originals):
    copies = [change(originals[0]) for change in list(CHANGES.values())[:8]]
    images = [*copies, *originals[1:4]]

    groups = group_copies(find_copies_within(prints(images)), len(images))

    assert len(set(groups[:8])) == 1
    assert len(set(groups)) == 4


@given(links=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12))
def test_groups_are_the_connected_parts(links):
    none = np.zeros(len(links), bool)
    left, right = np.array(links, np.int64).reshape(-1, 2).T

    groups = group_copies(Copies(left, right, none.astype(np.float32), none, none), 10)

    parts = [{k} for k in range(10)]
    for i, k in links:
        joined = parts[i] | parts[k]
        for member in joined:
            parts[member] = joined
    assert [{k for k in range(10) if groups[k] == group} for group in groups] == parts


def test_a_mirrored_picture_has_the_mirrored_descriptor(originals):
    images = descriptors.prepare(prints(originals).thumbnails)

    straight = descriptors.describe(images, descriptors.WHOLE)
    mirrored = descriptors.describe(images[:, :, ::-1], descriptors.WHOLE)

    np.testing.assert_allclose(descriptors.mirror(straight), mirrored, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(straight, axis=1), 1, atol=1e-4)


def test_coarse_descriptors_change_less_where_a_window_lies_beside_what_it_should_show(originals):
    beside = [crop(0.12, 0.9, 0.1)(image) for image in originals]

    one, other = (
        descriptors.describe(descriptors.prepare(prints(images).thumbnails), descriptors.WHOLE)
        for images in (originals, beside)
    )
    coarse = [descriptors.coarse(some) for some in (one, other)]

    np.testing.assert_allclose(np.linalg.norm(coarse, axis=2), 1, atol=1e-4)
    assert (coarse[0] * coarse[1]).sum(axis=1).mean() > (one * other).sum(axis=1).mean() + 0.1


def test_what_shows_nothing_has_no_coarse_descriptor_either():
    nothing = np.zeros((1, 32, 32), np.float32)

    assert descriptors.coarse(descriptors.describe(nothing, descriptors.WHOLE)).max() == 0


def brute_force(wholes, prepared, min_similarity):
    windows = np.stack([descriptors.describe(prepared, v) for v in range(len(descriptors.VIEWS))])
    best = np.einsum("vpd,wd->wpv", windows, wholes).max(axis=2)
    return {tuple(pair) for pair in np.argwhere(best >= min_similarity).tolist()}


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_wholes=st.integers(1, 20),
    num_pictures=st.integers(1, 20),
    num_cells=st.integers(1, 7),
    min_similarity=st.sampled_from([-0.2, 0.2, 0.4]),
)
def test_search_by_cells_is_that_of_brute_force_if_all_cells_are_probed(
    seed, num_wholes, num_pictures, num_cells, min_similarity
):
    rng = np.random.default_rng(seed)
    wholes = descriptors.describe(
        rng.normal(0, 30, (num_wholes, 32, 32)).astype(np.float32), descriptors.WHOLE
    )
    prepared = rng.normal(0, 30, (num_pictures, 32, 32)).astype(np.float32)

    found = find_windows(
        wholes,
        prepared,
        min_similarity,
        limit=num_pictures,
        num_cells=num_cells,
        num_probes=num_cells,
    )

    assert list(zip(found.whole.tolist(), found.picture.tolist(), strict=True)) == sorted(
        brute_force(wholes, prepared, min_similarity)
    )


def test_search_by_cells_finds_most_of_what_brute_force_finds():
    prepared = descriptors.prepare(prints([texture(seed) for seed in range(150)]).thumbnails)
    changed = [CHANGES["cropped by a tenth"](texture(seed)) for seed in range(150)]
    wholes = descriptors.describe(descriptors.prepare(prints(changed).thumbnails), 0)

    found = find_windows(wholes, prepared, 0.62, limit=6, num_cells=32, num_probes=4)

    assert np.mean(np.isin(np.arange(150), found.whole[found.whole == found.picture])) > 0.9


def test_copies_are_found_by_cells_too(originals, monkeypatch):
    monkeypatch.setattr("automl_flowers.data.copies.neighbours.MAX_COMPARISONS", 0)
    monkeypatch.setattr("automl_flowers.data.copies.neighbours.NUM_CELLS", 8)
    changed = [CHANGES["mirrored"](image) for image in originals]

    found = find_copies(prints(changed), prints(originals))

    assert pairs(found) == [(k, k) for k in range(NUM_PICTURES)]


def test_cells_find_nearly_what_comparing_all_with_all_finds(monkeypatch):
    changes = list(CHANGES.values())
    pictures = [texture(seed) for seed in range(160)]
    changed = [changes[seed % len(changes)](image) for seed, image in enumerate(pictures)]
    left, right = prints(changed), prints(pictures)

    exhaustive = set(pairs(find_copies(left, right)))
    monkeypatch.setattr("automl_flowers.data.copies.neighbours.MAX_COMPARISONS", 0)
    monkeypatch.setattr("automl_flowers.data.copies.neighbours.NUM_CELLS", 256)
    by_cells = set(pairs(find_copies(left, right)))

    assert len(exhaustive) >= 0.95 * len(pictures)
    assert by_cells <= exhaustive
    assert len(by_cells) >= 0.95 * len(exhaustive)


@given(
    matches=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 20)), max_size=30),
    limit=st.integers(1, 5),
)
def test_the_most_similar_of_each_whole_are_kept(matches, limit):
    whole = np.array([w for w, _ in matches], np.int64)
    similarity = np.array([s / 20 for _, s in matches], np.float32)

    kept = most_similar(whole, similarity, limit)

    assert kept.tolist() == sorted(kept.tolist())
    for one in set(whole.tolist()):
        best = sorted(similarity[whole == one].tolist(), reverse=True)[:limit]
        assert sorted(similarity[kept][whole[kept] == one].tolist(), reverse=True) == best


@given(
    matches=st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 20)),
        max_size=25,
        unique_by=lambda match: match[:2],
    ),
    limit=st.integers(1, 5),
)
def test_the_most_similar_of_both_sides_are_kept(matches, limit):
    whole, picture, levels = np.array(matches, np.int64).reshape(-1, 3).T
    similarity = (levels / 20).astype(np.float32)

    kept = most_similar_of_both(whole, picture, similarity, limit)

    by_side = [most_similar(side, similarity, limit).tolist() for side in (whole, picture)]
    assert kept.tolist() == sorted({*by_side[0], *by_side[1]})


def test_candidates_of_pictures_are_bounded_in_number(originals):
    alike = prints([originals[0]] * 30)
    prepared = descriptors.prepare(alike.thumbnails)

    found = copies_module._candidates(prepared, prepared, are_same=True)

    limit = copies_module.MAX_CANDIDATES
    assert np.bincount(found.left).min() >= limit
    assert np.bincount(found.right).min() >= limit
    assert len(found.left) <= 2 * 30 * limit


@pytest.mark.parametrize("is_mirrored", [False, True], ids=["upright", "mirrored"])
@pytest.mark.parametrize("num_copies", [12, 40])
def test_a_crop_hides_none_of_the_many_copies_of_its_original(originals, num_copies, is_mirrored):
    cropped = crop(0.25, 0.3, 0.8)(originals[0])
    if is_mirrored:
        cropped = CHANGES["mirrored"](cropped)
    many = [recompress(originals[0], 50 + number) for number in range(num_copies)]
    train, test = prints([*many, *originals[3:9]]), prints([*originals[12:15], cropped])

    found, other = find_copies(train, test), find_copies(test, train)

    assert pairs(found) == [(number, 3) for number in range(num_copies)]
    assert pairs(other) == [(3, number) for number in range(num_copies)]


def test_a_crop_hides_none_of_them_in_a_search_by_cells(originals, monkeypatch):
    monkeypatch.setattr("automl_flowers.data.copies.neighbours.MAX_COMPARISONS", 0)
    monkeypatch.setattr("automl_flowers.data.copies.neighbours.NUM_CELLS", 8)
    many = [recompress(originals[0], 50 + number) for number in range(12)]

    found = find_copies(prints(many), prints([crop(0.1, 0.2, 0.9)(originals[0]), *originals[1:]]))

    assert pairs(found) == [(number, 0) for number in range(12)]


def placeholders(count, originals):
    """Return one picture many times, in files that differ, and one picture of its own."""
    image = thumbnail(originals[0])
    return as_prints(np.concatenate([np.tile(image, (count, 1, 1)), [thumbnail(originals[1])]]))


@pytest.mark.parametrize("keys", ["thumbnails", "pixels", "bytes"])
def test_thousands_of_equal_pictures_are_one_group_by_a_bounded_number_of_pairs(originals, keys):
    many = 5000
    made = placeholders(many, originals)
    if keys != "thumbnails":
        equal = {"pixels": "pixel_digests", "bytes": "digests"}[keys]
        made = replace(made, **{equal: (*["same"] * many, "other")})

    found = find_copies_within(made)

    assert len(found) <= MAX_LINKS * many
    groups = group_copies(found, len(made))
    assert len(set(groups[:many].tolist())) == 1
    assert groups[many] != groups[0]


@pytest.mark.parametrize("num_right", [1, 3, 40, 7000])
def test_of_thousands_of_equal_pictures_each_is_found_to_have_a_copy(originals, num_right):
    left, right = placeholders(5000, originals), placeholders(num_right, originals)

    found = find_copies(left, right)

    assert len(found) <= MAX_LINKS**2 * 2 * 7000
    assert set(found.left.tolist()) == set(range(5001))
    assert set(found.right.tolist()) == set(range(num_right + 1))
    is_last = (found.left == 5000) | (found.right == num_right)
    assert pairs(found.take(is_last)) == [(5000, num_right)]


def test_pictures_that_look_alike_are_held_in_bounded_numbers():
    prepared = descriptors.prepare(prints([texture(0)] * 2).thumbnails)
    prepared = np.repeat(prepared, 1500, axis=0)
    prepared += np.random.default_rng(0).normal(0, 1, prepared.shape).astype(np.float32)
    wholes = descriptors.describe(prepared[:50], descriptors.WHOLE)

    found = find_windows(wholes, prepared, 0.62, limit=6)

    assert np.bincount(found.whole).min() >= 6
    assert np.bincount(found.picture).min() >= 6
    assert len(found.whole) <= 6 * (len(wholes) + len(prepared))
    best = np.argsort(-(wholes @ descriptors.describe(prepared, descriptors.WHOLE).T), axis=1)
    assert [row in found.picture[found.whole == row] for row in range(50)] == [True] * 50
    assert (best[:, 0] == np.arange(50)).all()


def test_look_alikes_in_one_set_crowd_out_none_in_another(originals):
    many = [CHANGES["cropped by a tenth"](originals[0].rotate(k / 8)) for k in range(20)]
    one, other = prints(many), prints([originals[0], *originals[3:6]])

    found = find_copies_among([one, other])

    across = found.take(found.right >= len(many)).take(found.left[found.right >= len(many)] < 20)
    assert set(across.left.tolist()) == set(range(20))
    assert set(across.right.tolist()) == {20}


def test_sets_are_searched_within_and_across_with_positions_in_all_of_them(originals):
    parts = [prints(originals[:3]), prints([]), prints([originals[2], originals[2], originals[9]])]

    found = find_copies_among(parts)

    assert pairs(found) == [(2, 3), (2, 4), (3, 4)]


@given(num_left=st.integers(0, 20), num_right=st.integers(0, 20))
def test_links_across_reach_all_and_are_all_pairs_of_small_groups(num_left, num_right):
    left, right = np.arange(num_left), 100 + np.arange(num_right)

    links = [tuple(link) for link in link_across(left, right).tolist()]

    assert (
        len(links)
        == len(set(links))
        == min(num_left, num_right, MAX_LINKS)
        * max(num_left, num_right)
        * bool(min(num_left, num_right))
    )
    if min(num_left, num_right):
        assert {one for one, _ in links} == set(left.tolist())
        assert {two for _, two in links} == set(right.tolist())


@given(count=st.integers(0, 30))
def test_links_within_hang_together(count):
    links = link_within(np.arange(count))

    none = np.zeros(len(links), bool)
    found = Copies(links[:, 0], links[:, 1], none.astype(np.float32), none, none)
    assert len(links) == sum(min(MAX_LINKS, count - 1 - k) for k in range(count))
    assert len(set(group_copies(found, count).tolist())) == min(count, 1)

"""What frozen layers compute is kept, and nothing but the time that it takes changes."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from automl_flowers import custom_backbones
from automl_flowers.modeling.feature_bank import (
    FeatureBank,
    ImageCosts,
    Kept,
    is_worth,
    rounds_alike,
)
from automl_flowers.modeling.program import Program
from automl_flowers.tuning import trial
from search_spaces import backbones
from search_spaces.backbones import get_backbone
from tests.modeling.test_program import (
    NUM_EPOCHS,
    assert_equal_states,
    draw_examples,
    fingerprint,
    net_with_dropout,
)

LIMIT = 10**9
SECONDS = st.floats(0, 10)


def always(*_facts):
    return True


def train(program, recipe, bank=None, *, epochs=range(NUM_EPOCHS), state=None, seed=7, count=12):
    """Train on known images and return the final state and the curve."""
    curve = []
    trial.train(
        program,
        recipe,
        trial.Plan(epochs.start, epochs.stop, NUM_EPOCHS, seed, view_seed=3),
        replace(draw_examples(count), content="train"),
        replace(draw_examples(6), content="val"),
        state=state,
        on_epoch=lambda record, _state: curve.append(
            (record.loss, record.log_loss, record.macro_f1, record.learning_rate)
        ),
        bank=bank,
    )
    return program.get_state(), curve


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def shared():
    """One program an architecture for the module."""
    programs = {}

    def get(architecture):
        if architecture not in programs:
            programs[architecture] = Program(architecture)
        return programs[architecture]

    return get


@pytest.fixture
def heads(shared, tiny_architecture):
    """A program that trains the head alone."""
    return shared(replace(tiny_architecture, trainable_blocks=0))


@pytest.fixture
def head_recipe(tiny_recipe):
    return replace(tiny_recipe, trainable_blocks=0, views=1)


@pytest.fixture
def bank(tmp_path):
    return FeatureBank(tmp_path / "bank", LIMIT, always)


BOUNDARIES = [
    ("efficientnet_lite0", 0, 1),
    ("efficientnet_lite0", 0, 2),
    ("efficientnet_lite0", 2, 1),
    ("efficientnet_lite0", 2, 2),
    ("mobilenet_v3_small", 5, 2),
    pytest.param("mobilenet_v3_small", 0, 1, marks=pytest.mark.slow),
    pytest.param("densenet121", 2, 2, marks=pytest.mark.slow),
    pytest.param("resnet50_v2", 4, 1, marks=pytest.mark.slow),
    pytest.param("xception", 3, 2, marks=pytest.mark.exhaustive),
    pytest.param("convnext_tiny", 3, 2, marks=pytest.mark.exhaustive),
    pytest.param("nasnet_mobile", 0, 2, marks=pytest.mark.exhaustive),
]


@pytest.mark.parametrize(("backbone", "blocks", "views"), BOUNDARIES)
def test_numbers_are_the_same_with_and_without(
    shared, tmp_path, tiny_architecture, tiny_recipe, backbone, blocks, views
):
    size = max(32, get_backbone(backbone).min_image_size)
    part = {"backbone": backbone, "trainable_blocks": blocks, "image_size": size}
    program = shared(replace(tiny_architecture, **part))
    check_same_numbers(program, replace(tiny_recipe, **part, views=views), size, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [2, 8])
def test_numbers_are_the_same_in_batches_that_some_processors_round_by_place(
    shared, bank, tmp_path, tiny_architecture, head_recipe, batch_size
):
    changes = {"trainable_blocks": 0, "batch_size": batch_size}
    program = shared(replace(tiny_architecture, **changes))
    recipe = replace(head_recipe, batch_size=batch_size, views=2)

    computed, curve = train(program, recipe)
    kept, kept_curve = train(program, recipe, bank)

    assert kept_curve == curve
    assert_equal_states(kept, computed)
    assert len(names_in(tmp_path / "bank")) == (3 if rounds_alike(program) else 1)


def test_what_rounds_alike_does_so_for_other_images(shared, tiny_architecture):
    for batch_size in (2, 4, 8):
        program = shared(replace(tiny_architecture, trainable_blocks=0, batch_size=batch_size))
        if not rounds_alike(program):
            continue
        rng = np.random.default_rng(5)
        images = rng.integers(0, 256, (batch_size, 32, 32, 3), dtype=np.uint8)
        order = rng.permutation(batch_size)
        made, moved = (
            next(program.outputs_of(program.frozen, tf.data.Dataset.from_tensors(each)))
            for each in (images, images[order])
        )
        np.testing.assert_array_equal(made[order], moved)


def test_numbers_are_the_same_in_bfloat16(tmp_path, tiny_architecture, tiny_recipe):
    part = {"trainable_blocks": 1}
    program = Program(replace(tiny_architecture, precision="mixed_bfloat16", **part))

    check_same_numbers(program, replace(tiny_recipe, views=1, **part), 32, tmp_path)


def check_same_numbers(program, recipe, size, folder):
    def run(bank):
        curve = []
        trial.train(
            program,
            recipe,
            trial.Plan(0, NUM_EPOCHS, NUM_EPOCHS, 7, view_seed=3),
            replace(draw_examples(12, size), content="train"),
            replace(draw_examples(6, size), content="val"),
            on_epoch=lambda record, _state: curve.append((record.loss, record.log_loss)),
            bank=bank,
        )
        return program.get_state(), curve

    without, curve = run(None)
    filled, filled_curve = run(FeatureBank(folder / "bank", LIMIT, always))
    read, read_curve = run(FeatureBank(folder / "bank", LIMIT, always))

    assert filled_curve == read_curve == curve
    assert_equal_states(filled, without)
    assert_equal_states(read, without)
    assert len(names_in(folder / "bank")) == recipe.views + 1


@pytest.mark.parametrize("blocks", [0, 2])
def test_rounds_with_a_bank_equal_one_run_without(
    shared, tmp_path, tiny_architecture, tiny_recipe, blocks
):
    program = shared(replace(tiny_architecture, trainable_blocks=blocks))
    recipe = replace(tiny_recipe, trainable_blocks=blocks, views=2)
    whole, whole_curve = train(program, recipe)

    def bank():
        return FeatureBank(tmp_path / "bank", LIMIT, always)

    state, curve = train(program, recipe, bank(), epochs=range(1))
    train(program, replace(recipe, dropout=0.1), bank(), seed=1)
    state, more = train(program, recipe, epochs=range(1, 2), state=state)
    state, rest = train(program, recipe, bank(), epochs=range(2, 3), state=state)

    assert curve + more + rest == whole_curve
    assert_equal_states(state, whole)


def test_randomness_of_the_trained_part_is_the_same(
    monkeypatch, bank, tiny_architecture, tiny_recipe
):
    entry = replace(get_backbone("vgg16"), name="with_dropout", constructor="registered", blocks=())
    monkeypatch.setitem(backbones._ENTRIES, "with_dropout", entry)
    monkeypatch.setitem(custom_backbones._BUILDERS, "with_dropout", net_with_dropout)
    part = {"backbone": "with_dropout", "trainable_blocks": 5}
    program = Program(replace(tiny_architecture, **part))
    recipe = replace(tiny_recipe, **part, views=1)

    without, curve = train(program, recipe)
    kept, kept_curve = train(program, recipe, bank)

    assert program.frozen is not None
    assert kept_curve == curve
    assert_equal_states(kept, without)


def test_trials_share_what_is_kept(heads, head_recipe, bank, tmp_path):
    train(heads, head_recipe, bank)
    before = {path: path.stat().st_ino for path in (tmp_path / "bank").iterdir()}

    train(heads, replace(head_recipe, dropout=0.0, label_smoothing=0.0), bank, seed=8)

    assert {path: path.stat().st_ino for path in (tmp_path / "bank").iterdir()} == before


@pytest.mark.parametrize(
    ("change", "training"),
    [
        ({"views": 0}, None),
        ({"views": 0, "augmentation": "none"}, [0]),
        ({"views": 2}, [0, 1]),
        ({"views": 64}, [0, 1, 2]),
        ({"views": 2, "augmentation": "medium_cutmix"}, None),
    ],
    ids=["ever new", "unchanged", "two", "more than epochs", "mixed"],
)
def test_only_views_that_come_again_are_kept(heads, head_recipe, bank, change, training):
    kept = prepare(bank, heads, replace(head_recipe, **change))

    assert kept.val.shape == (6, 1280)
    assert kept.val.dtype == np.float16
    assert kept.training is None if training is None else list(kept.training) == training


def prepare(bank, program, recipe, *, count=12, content="train", epochs=range(3), view_seed=3):
    return bank.prepare(
        program,
        recipe,
        replace(draw_examples(count), content=content),
        replace(draw_examples(6), content="val"),
        epochs=epochs,
        view_seed=view_seed,
    )


def test_all_that_a_view_depends_on_is_in_its_name(
    heads, shared, head_recipe, tiny_architecture, bank, tmp_path
):
    """Every change brings one new file, or two where it concerns the validation images too."""

    def count(program=heads, recipe=head_recipe, **changes):
        prepare(bank, program, recipe, **changes)
        return len(names_in(tmp_path / "bank"))

    assert count() == 2
    assert count(content="other images") == 3
    assert count(view_seed=4) == 4
    assert count(recipe=replace(head_recipe, augmentation="strong")) == 5
    assert count(recipe=replace(head_recipe, views=2)) == 6
    assert count(shared(replace(tiny_architecture, trainable_blocks=2))) == 8
    other = Program(replace(tiny_architecture, trainable_blocks=0))
    assert count(other) == 8  # it computes the same
    weight = other.frozen.weights[0]
    weight.assign(np.asarray(weight) * 1.01)
    assert count(other) == 10


def test_other_batches_are_other_files(shared, tiny_architecture, head_recipe, bank, tmp_path):
    for batch_size in (4, 3):
        architecture = replace(tiny_architecture, trainable_blocks=0, batch_size=batch_size)
        prepare(bank, shared(architecture), head_recipe)

    assert len(names_in(tmp_path / "bank")) == 4


def test_nothing_is_kept_of_images_that_nobody_can_name(heads, head_recipe, bank, tmp_path):
    kept = bank.prepare(
        heads, head_recipe, draw_examples(), draw_examples(6), epochs=range(3), view_seed=3
    )

    assert kept == Kept()
    assert not (tmp_path / "bank").exists()


def test_nothing_is_kept_where_all_blocks_train_or_no_epoch_is_left(
    heads, head_recipe, tiny_architecture, bank
):
    everything = Program(replace(tiny_architecture, backbone="vgg16", trainable_blocks=5))

    assert everything.frozen is None
    assert prepare(bank, everything, replace(head_recipe, trainable_blocks=5)) == Kept()
    assert prepare(bank, heads, head_recipe, epochs=range(3, 3)) == Kept()


def test_what_saves_no_time_is_not_kept_and_measured_once(heads, head_recipe, tmp_path):
    asked = []
    bank = FeatureBank(tmp_path / "bank", LIMIT, lambda *facts: bool(asked.append(facts)))

    for _ in range(2):
        assert prepare(bank, heads, head_recipe, count=40) == Kept()

    assert names_in(tmp_path / "bank") == []
    costs, num_uses, num_missing = asked[0]
    assert min(costs.compute, costs.write, costs.read) > 0
    assert (num_uses, num_missing) == (3, 1)
    by_augmentation = {id(facts[0]) for facts in asked}
    assert len(by_augmentation) == 2


@given(
    costs=st.builds(ImageCosts, SECONDS, SECONDS, SECONDS), uses=st.integers(1, 20), data=st.data()
)
def test_the_rule_is_sound(costs, uses, data):
    missing = data.draw(st.integers(1, uses))
    worth = is_worth(costs, uses, missing)

    if costs.compute <= costs.read:
        assert not worth
    if worth:
        assert is_worth(replace(costs, compute=costs.compute + 1), uses, missing)
        assert is_worth(replace(costs, write=costs.write / 2), uses, missing)
        assert is_worth(costs, uses + 1, missing)


def test_what_was_not_used_for_longest_goes_first(heads, head_recipe, tmp_path):
    folder = tmp_path / "bank"
    bytes_of = {"val": 6 * 1280 * 2 + 128, "train": 12 * 1280 * 2 + 128}
    bank = FeatureBank(folder, bytes_of["val"] + 2 * bytes_of["train"], always)

    def keep(content):
        before = set(names_in(folder)) if folder.exists() else set()
        kept = prepare(bank, heads, head_recipe, content=content)
        assert kept.training is not None
        return set(names_in(folder)) - before

    first, second = keep("first"), keep("second")
    for age, names in enumerate((second, first)):  # a coarse clock may have seen both at once
        for name in names:
            os.utime(folder / name, ns=(age, age))
    third = keep("third")

    assert set(names_in(folder)) == first | third
    assert sum(path.stat().st_size for path in folder.iterdir()) <= bank._limit


@pytest.mark.parametrize("limit", [0, 12 * 1280 * 2])
def test_what_does_not_fit_is_computed(heads, head_recipe, tmp_path, limit):
    bank = FeatureBank(tmp_path / "bank", limit, always)
    without, curve = train(heads, head_recipe)

    state, same_curve = train(heads, head_recipe, bank)

    assert prepare(bank, heads, head_recipe).training is None
    assert same_curve == curve
    assert_equal_states(state, without)


def test_a_larger_limit_around_the_bank_counts_too(heads, head_recipe, tmp_path):
    bank = FeatureBank(tmp_path / "bank", LIMIT, always, left=lambda: 1000)

    assert prepare(bank, heads, head_recipe).training is None


def test_files_make_way_when_others_need_the_room(heads, head_recipe, bank, tmp_path):
    prepare(bank, heads, replace(head_recipe, views=3))
    names, each = set(names_in(tmp_path / "bank")), 12 * 1280 * 2 + 128
    oldest = min((tmp_path / "bank").iterdir(), key=lambda path: path.stat().st_mtime_ns)

    assert bank.free(1) >= 1
    assert names - set(names_in(tmp_path / "bank")) == {oldest.name}
    assert bank.free(10**9) < 4 * each
    assert names_in(tmp_path / "bank") == []
    assert bank.free(1) == 0


def test_files_in_use_are_not_driven_out(heads, head_recipe, tmp_path):
    room_for_three = 3 * (12 * 1280 * 2 + 128)
    bank = FeatureBank(tmp_path / "bank", room_for_three, always)

    kept = prepare(bank, heads, replace(head_recipe, views=3))

    assert list(kept.training) == [0, 1, 2]
    assert kept.val is None
    assert len(names_in(tmp_path / "bank")) == 3
    assert prepare(bank, heads, replace(head_recipe, views=1, augmentation="none")).val is not None


@pytest.mark.parametrize("content", [b"", b"words", None], ids=["empty", "words", "cut short"])
def test_a_damaged_file_is_made_again(heads, head_recipe, bank, tmp_path, content):
    expected = np.array(prepare(bank, heads, head_recipe).training[0])
    for path in (tmp_path / "bank").iterdir():
        path.write_bytes(path.read_bytes()[:-1] if content is None else content)

    again = prepare(bank, heads, head_recipe).training[0]

    np.testing.assert_array_equal(again, expected)


def test_a_folder_that_cannot_be_written_to_is_no_error(heads, head_recipe, tmp_path):
    (tmp_path / "bank").write_text("a file")
    bank = FeatureBank(tmp_path / "bank", LIMIT, always)
    without, curve = train(heads, head_recipe)

    state, same_curve = train(heads, head_recipe, bank)

    assert same_curve == curve
    assert_equal_states(state, without)


def test_a_bank_traces_nothing_again(heads, head_recipe, bank, monkeypatch):
    train(heads, head_recipe, bank)
    layer = heads.model.get_layer("dropout")
    traced, call = [], layer.call
    monkeypatch.setattr(layer, "call", lambda *a, **k: traced.append(a) or call(*a, **k))

    train(heads, replace(head_recipe, dropout=0.1, views=2), bank)

    assert traced == []
    heads.trained.predict(np.zeros((3, 1280), np.float16), verbose=0)
    assert len(traced) > 0  # another batch size is traced, so the count can fail


KILLED = """
import json, os, signal, sys
from pathlib import Path
from automl_flowers.modeling.classifier import Architecture
from automl_flowers.modeling.feature_bank import FeatureBank
from automl_flowers.modeling.program import Program
from search_spaces.recipe import Recipe
from tests.modeling.test_feature_bank import LIMIT, always, fingerprint, train

recipe = Recipe.from_dict(json.loads(sys.argv[1]))
program = Program(Architecture(**json.loads(sys.argv[2])))
answers = int(sys.argv[4])

def worth(costs, num_uses, num_missing):  # asked while a file is half written
    global answers
    answers -= 1
    if not answers:
        os.kill(os.getpid(), signal.SIGKILL)
    return True

bank = FeatureBank(Path(sys.argv[3]), LIMIT, worth)
state, curve = train(program, recipe, bank, count=40)
print(json.dumps([fingerprint(state), curve]))
"""


@pytest.mark.slow
def test_a_kill_in_the_middle_of_filling_is_recovered_from(
    head_recipe, tiny_architecture, tmp_path
):
    recipe = replace(head_recipe, views=2)
    architecture = replace(tiny_architecture, trainable_blocks=0, num_steps=32)
    state, curve = train(Program(architecture), recipe, count=40)
    folder = tmp_path / "bank"

    def start(answers):
        arguments = [json.dumps(recipe.to_dict()), json.dumps(vars(architecture)), str(folder)]
        return subprocess.run(
            [sys.executable, "-c", KILLED, *arguments, str(answers)],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=False,
        )

    killed = start(1)
    left = names_in(folder)
    resumed = start(0)

    assert killed.returncode == -9
    assert [name[-4:] for name in left] == [".tmp"]
    assert resumed.returncode == 0, resumed.stderr
    print_of_state, resumed_curve = json.loads(resumed.stdout.splitlines()[-1])
    assert resumed_curve == [list(point) for point in curve]
    assert print_of_state == fingerprint(state)
    assert len(names_in(folder)) == 3
    assert all(name.endswith(".npy") for name in names_in(folder))

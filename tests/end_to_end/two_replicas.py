"""Trains one recipe on two replicas and on one device, and prints both curves as JSON.

A process of its own, because the CPU can be divided only before TensorFlow starts. Without
dropout, and with BatchNorm in inference mode, both compute the same but for rounding.
"""

import contextlib
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from automl_flowers.accelerators import set_up, split_cpu

split_cpu(2)
accelerator = set_up("mirrored", environ={})

from automl_flowers.data.pipeline import Examples  # noqa: E402
from automl_flowers.modeling.classifier import Architecture  # noqa: E402
from automl_flowers.modeling.feature_bank import FeatureBank, rounds_alike  # noqa: E402
from automl_flowers.modeling.program import Program  # noqa: E402
from automl_flowers.tuning import trial  # noqa: E402
from search_spaces.recipe import Recipe  # noqa: E402
from search_spaces.schedules import Schedule, learning_rate_table  # noqa: E402

EPOCHS, GLOBAL_BATCH = 4, 4
RECIPE = Recipe(
    backbone="efficientnet_lite0",
    image_size=32,
    trainable_blocks=0,
    dropout=0.0,
    l2=1e-2,
    label_smoothing=0.1,
    class_weighting="balanced",
    augmentation="light",
    optimizer="adam",
    batch_size=GLOBAL_BATCH // accelerator.num_replicas,
    schedule=Schedule("cosine", 1e-2, {"warmup": 0.1}),
)


def draw_examples(count):
    generator = np.random.default_rng(0)
    rows = np.arange(count)
    return Examples(
        caches=(generator.integers(0, 256, (count, 32, 32, 3)).astype(np.uint8),),
        cache_of=np.zeros(count, np.int64),
        row_of=rows,
        labels=rows % 3,
        ids=rows.astype(str),
        content=str(count),
    )


def train(
    program, first_epoch=0, last_epoch=EPOCHS, state=None, count=12, recipe=RECIPE, bank=None
):
    """Return the curve and the final state."""
    curve = []

    def hear(record, _get_state):
        curve.append([record.loss, record.macro_f1, record.log_loss, record.learning_rate])

    plan = trial.Plan(first_epoch, last_epoch, EPOCHS, seed=7)
    val = draw_examples(min(count, 7))
    examples = draw_examples(count)
    trial.train(program, recipe, plan, examples, val, state=state, on_epoch=hear, bank=bank)
    return curve, program.get_state()


def build(scope):
    architecture = Architecture.of(
        RECIPE,
        batch_size=accelerator.global_batch_size(RECIPE.batch_size),
        num_classes=3,
        precision="float32",
        num_steps=16,
        weights="none",
    )
    return Program(architecture, scope, jit_compile=False)


def same(left, right):
    return all(np.array_equal(left[name], right[name]) for name in left)


two = build(accelerator.strategy.scope)
curve, state = train(two)
fewer, _ = train(two, count=3)
begun, half_way = train(two, last_epoch=1)
train(two, count=5)
ended, again = train(two, first_epoch=1, state=half_way)
none_left, unchanged = train(two, first_epoch=EPOCHS, state=state)

two.max_steps_per_execution = 3
by_itself, last = train(two)

two.max_steps_per_execution = 1
in_turn = replace(RECIPE, views=2)
computed, computed_state = train(two, recipe=in_turn)
with tempfile.TemporaryDirectory() as folder:
    bank = FeatureBank(Path(folder), 10**9, lambda *facts: True)
    kept, kept_state = train(two, recipe=in_turn, bank=bank)
    num_kept = len(list(Path(folder).iterdir()))

one = build(contextlib.nullcontext)
alone, _ = train(one)
fewer_alone, _ = train(one, count=3)

rates = learning_rate_table(RECIPE.schedule, steps_per_epoch=3, num_epochs=EPOCHS)
result = {
    "replicas": accelerator.num_replicas,
    "two": curve,
    "one": alone,
    "two_fewer": fewer,
    "one_fewer": fewer_alone,
    "rates": rates[2::3].tolist(),
    "in_rounds": begun + ended,
    "rounds_end_equal": same(state, again),
    "none_left": none_left,
    "none_left_end_equal": same(state, unchanged),
    "several": by_itself,
    "several_end_equal": same(state, last),
    "computed": computed,
    "kept": kept,
    "kept_end_equal": same(computed_state, kept_state),
    "rounds_alike": rounds_alike(two),
    "num_kept": num_kept,
}
sys.stdout.write(json.dumps(result) + "\n")

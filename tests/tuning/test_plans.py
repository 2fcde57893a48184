"""What is told of a search before it begins."""

import pytest

from automl_flowers.config import make_config
from automl_flowers.tuning.plans import describe_plan


def described(epoch_seconds, **settings):
    config = make_config({"max_epochs": 6, **settings})
    return describe_plan(config, 900, "small", epoch_seconds)


def test_every_round_and_what_they_cost_together():
    cost, *rounds = described(20.0)

    assert cost == (
        "space small, hyperband: 8 recipes in 2 brackets, at most 36 epochs of 900 images, "
        "about 12 min"
    )
    assert rounds == [
        "  bracket 0: 5 x epochs 1-2, then 2 x epochs 3-6",
        "  bracket 1: 3 x epochs 1-6",
    ]


def test_what_nobody_can_predict_is_promised_for_later():
    cost, *rounds = described(None, max_recipes=3)

    assert cost.endswith("epochs of 900 images; how long that takes is told after the first trial")
    assert rounds


@pytest.mark.parametrize(("epoch_seconds", "each"), [(20.0, ", each about 20 s"), (None, "")])
def test_a_search_that_time_ends_costs_its_time(epoch_seconds, each):
    cost, *rounds = described(epoch_seconds, time_budget="20m")

    assert cost == (
        f"space small, hyperband: recipes of up to 6 epochs of 900 images{each}, 20 min in all"
    )
    assert rounds == described(epoch_seconds)[1:]


def test_rounds_that_may_be_fewer_cost_about_so_much():
    [cost, *_] = described(20.0, oracle="pasha")

    assert ", about " in cost
    assert "at most" not in cost

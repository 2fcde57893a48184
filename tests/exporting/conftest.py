"""What the tests of blending have: tiny pictures, a recipe, a trainer."""

from tests.blending.conftest import (  # noqa: F401 - fixtures
    draw_pictures,
    garden,
    make_trainer,
    other_recipe,
    ours,
    recipe,
    trainer,
)

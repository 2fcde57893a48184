"""What a run chooses from."""

import pytest

from automl_flowers.config import make_config
from automl_flowers.console import Reporter
from automl_flowers.errors import ConfigError, UserError
from automl_flowers.modeling.efficientnet_lite import find_weights_file
from automl_flowers.run_folder import RunFolder
from automl_flowers.run_space import (
    check_weights_files,
    effective_space,
    image_sizes,
    read_space,
)

SPACE = {"backbone": "efficientnet_lite0", "image_size": [32, 64]}


@pytest.mark.parametrize(
    ("content", "sentence", "hint"),
    [
        (None, "has no space.yaml, which `automl-flowers search` writes", "search --run"),
        ("backbone: [", r"space.yaml` cannot be read: in line 1, ", "YAML"),
        ("backbone: mine", r"space.yaml`, cannot be used: Unknown", "`register_backbone`"),
    ],
)
def test_a_recorded_space_that_cannot_be_had_is_a_sentence(tmp_path, content, sentence, hint):
    run = RunFolder(tmp_path)
    if content is not None:
        run.space.write_text(content)

    with pytest.raises(UserError, match=sentence) as refusal:
        read_space(run)

    assert hint in refusal.value.hint


def test_weights_of_a_backbone_that_only_a_recipe_to_begin_with_has_are_used(tmp_path):
    file = str(find_weights_file(1))
    config = make_config({"space": SPACE, "weights": {"efficientnet_lite1": file}})

    run = RunFolder(tmp_path)

    space = effective_space(config, run, Reporter(quiet=True))

    recipe = {"backbone": "efficientnet_lite1", "image_size": 48}
    check_weights_files(config, run, space, [recipe])
    with pytest.raises(ConfigError, match="a file for 'efficientnet_lite1', which space 'custom'"):
        check_weights_files(config, run, space, [])


def test_sizes_of_recipes_to_begin_with_count_too(tmp_path):
    config = make_config({"space": SPACE})
    space = effective_space(config, RunFolder(tmp_path), Reporter(quiet=True))

    assert image_sizes(space) == [32, 64]
    assert image_sizes(space, [{"image_size": 96}, {"image_size": 64}]) == [32, 64, 96]

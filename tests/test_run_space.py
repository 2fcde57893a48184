"""What a run chooses from."""

import pytest

from automl_flowers.errors import UserError
from automl_flowers.run_folder import RunFolder
from automl_flowers.run_space import read_space


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

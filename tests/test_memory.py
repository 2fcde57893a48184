"""Tests for how much memory there is."""

import pytest

from automl_flowers.memory import free_memory, machine_memory, memory_limit

GROUPS_V1 = "4:memory:/jobs/one\n2:cpuacct:/\n0::/\n"
GROUPS_V2 = "0::/jobs/one\n"


@pytest.mark.parametrize(
    ("groups", "file", "content", "limit"),
    [
        (GROUPS_V1, "memory/jobs/one/memory.limit_in_bytes", "1000\n", 1000),
        (GROUPS_V1, "memory/memory.limit_in_bytes", "9223372036854771712\n", None),
        (GROUPS_V2, "jobs/one/memory.max", "1000\n", 1000),
        (GROUPS_V2, "memory.max", "1000\n", 1000),
        (GROUPS_V2, "jobs/one/memory.max", "max\n", None),
        ("", "elsewhere", "1000", None),
    ],
)
def test_limit_of_a_container_is_found(tmp_path, groups, file, content, limit):
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(content)

    assert memory_limit(groups, tmp_path, total=5000) == limit


def test_what_is_free_is_less_than_the_machine_has():
    total, _ = machine_memory()
    free = free_memory()

    assert total > 2**20
    assert free is None or 0 <= free < total

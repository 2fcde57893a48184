"""The benchmark of large manifests, on a small one."""

import sys

import pytest

from benchmarks import manifest_scale


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from Linux' account")
def test_every_step_is_run_and_measured(tmp_path):
    manifest_scale.write_records(tmp_path, 200)

    taken = manifest_scale.measure(tmp_path, 200)

    assert {"read", "group copies", "list leaks", "drop leaks", "write the file"} < taken.keys()
    assert all(step["seconds"] >= 0 and step["peak_megabytes"] >= 0 for step in taken.values())
    assert (tmp_path / "manifest.csv").read_text().count("\n") > 150

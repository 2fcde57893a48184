"""Tests for what ends a command: the sentence and the status."""

import errno

import pytest
import typer

from automl_flowers.cli import _run
from automl_flowers.errors import RunError


def raising(error):
    def go():
        raise error

    return go


@pytest.mark.parametrize(
    ("resumes", "said"), [(True, "stopped; the same command goes on from here"), (False, "stopped")]
)
def test_only_what_goes_on_says_so_when_it_is_stopped(capsys, resumes, said):
    with pytest.raises(typer.Exit) as caught:
        _run(raising(KeyboardInterrupt()), resumes=resumes)

    assert caught.value.exit_code == 130
    assert capsys.readouterr().err.strip() == said


def test_what_a_person_can_mend_is_a_sentence_with_a_hint(capsys):
    with pytest.raises(typer.Exit) as caught:
        _run(raising(RunError("Nothing is there.", hint="look elsewhere")))

    assert caught.value.exit_code == 2
    assert capsys.readouterr().err == "error: Nothing is there.\n\nhint: look elsewhere\n"


def test_a_full_disk_is_named_and_what_is_no_disks_fault_is_not_hidden(capsys):
    with pytest.raises(typer.Exit):
        _run(raising(OSError(errno.ENOSPC, "No space left on device", "runs/one/ledger.db")))

    assert "Cannot write `runs/one/ledger.db`: No space left" in capsys.readouterr().err
    with pytest.raises(ConnectionResetError):
        _run(raising(ConnectionResetError(errno.ECONNRESET, "reset")))

"""One table of errors that are known by what they say."""

import pytest

from automl_flowers.known_errors import REMEDIES, find_all, find_remedy


@pytest.mark.parametrize(("signature", "remedy"), REMEDIES, ids=[entry[0] for entry in REMEDIES])
def test_every_signature_is_found_in_a_log(signature, remedy):
    log = f"epoch 1\nE0000 it says: {signature} here\nepoch 2"

    assert remedy in {found for _, found in find_all(log)}
    assert find_remedy(log) is not None


def test_no_signature_hides_another():
    signatures = [signature for signature, _ in REMEDIES]

    assert [s for s in signatures if sum(s in other for other in signatures) > 1] == []


def test_all_errors_of_a_log_are_answered_in_the_order_of_the_table_and_each_remedy_once():
    log = (
        "No TPU platform found\nFailed to fetch URL\nConfigureDistributedTpuOp_DoWork not available"
    )

    found = find_all(log)

    assert [signature for signature, _ in found] == [
        "ConfigureDistributedTpuOp_DoWork not available",
        "Failed to fetch URL",
    ]


def test_log_without_a_known_error_has_no_remedy():
    assert find_all("InternalError: the chip is tired") == []

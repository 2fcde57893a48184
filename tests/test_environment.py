"""What a run notes of the machine that it ran on."""

import tensorflow as tf

from automl_flowers.environment import describe_environment, describe_numerics
from automl_flowers.machine import VARIABLES


def test_threads_are_those_that_tensorflow_was_told_to_use():
    told = describe_numerics({})

    threading = tf.config.threading
    assert told["intra_op_threads"] == threading.get_intra_op_parallelism_threads()
    assert told["inter_op_threads"] == threading.get_inter_op_parallelism_threads()


def test_variables_that_change_results_are_noted_where_they_are_set():
    told = describe_numerics({"TF_ENABLE_ONEDNN_OPTS": "0", "OMP_NUM_THREADS": "", "HOME": "/x"})

    assert {name: told[name] for name in VARIABLES if name in told} == {
        "TF_ENABLE_ONEDNN_OPTS": "0"
    }
    assert "HOME" not in told


def test_determinism_is_noted():
    assert describe_numerics({})["deterministic_ops"] is False

    tf.config.experimental.enable_op_determinism()
    try:
        assert describe_numerics({})["deterministic_ops"] is True
    finally:
        from tensorflow.python.framework import config

        config.disable_op_determinism()


def test_versions_are_those_of_what_determines_results():
    told = describe_environment()

    assert told["tensorflow"] == tf.__version__
    assert all(told[name] for name in ("automl-flowers", "python", "keras", "numpy"))

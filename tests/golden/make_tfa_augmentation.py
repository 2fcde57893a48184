"""Regenerate `tfa_augmentation.npz`: what tensorflow-addons 0.23 makes of small pictures.

The full file was written by running tensorflow-addons 0.23 once; it does not import beside
Keras 3. This copies the cases that the tests of `automl_flowers.data.augmentation` use:

    python tests/golden/make_tfa_augmentation.py path/to/tfa_golden.npz
"""

import json
import sys
from pathlib import Path

import numpy as np

INPUTS = ("x_f32_255", "x_f32_01", "x_u8", "x_u8_lowcontrast")
CASES = (
    "angles_to_projective",
    "rotate_bilinear_reflect_0",
    "transform_bilinear",
    "translate_bilinear",
    "shear_x_u8",
    "adjust_hsv_in_yiq",
    "cutout",
    "gaussian_k5_s1.5_REFLECT",
    "mean_filter",
    "sharpness_0.0",
    "sharpness_1.9",
    "equalize_u8",
    "equalize_u8_lowcontrast",
    "blend_0.0",
    "blend_0.5",
    "blend_1.0",
)


def copy_cases(source: Path, target: Path) -> None:
    """Copy inputs, outputs and, as JSON under `arguments`, the arguments of every case."""
    with np.load(source) as full:
        arguments = json.loads(str(full["__params__"]))
        arrays = {name: full[name] for name in INPUTS + CASES}
    chosen = json.dumps({name: arguments[name] for name in CASES}, indent=1)
    np.savez_compressed(target, arguments=np.array(chosen), **arrays)


if __name__ == "__main__":
    copy_cases(Path(sys.argv[1]), Path(__file__).with_name("tfa_augmentation.npz"))

"""Augmentation of whole batches on the host, from a table of uniform numbers.

Every example owns one row of numbers in [0, 1) an epoch (`sample_parameters`); `augment` turns
rows into pictures and draws nothing itself. So an example looks the same in whatever batch, on
whatever thread and after whatever restart it is met, and a trial can be repeated exactly. Only
`mix`, which makes one picture of two, depends on the batch.

An `AugmentationStrength` says how far each operation goes, in this order:

    tone       equalize and gamma, looked up in a table of 256 levels a picture.
    geometry   crop, both flips, rotation, shear, zoom, perspective and shift become one 3x3 matrix
               a picture and one bilinear interpolation; outside its border the picture is mirrored.
    vivid      the saturation of HSV, for the notebook's own third recipe, after brightness.
    filters    Gaussian blur, mean filter, sharpness.
    colour     contrast, saturation, hue and brightness become one 3x3 matrix and one offset a
               picture.
    hiding     block-out, one rectangle a picture, and GridMask, a grid of squares, in the
               picture's mean colour.
    mixing     MixUp and CutMix, with labels and weights.

Numbers are computed for a whole batch by NumPy, pixels a picture at a time by OpenCV. They are
rounded to uint8 once, after the colours, and once more by MixUp. An operation whose range is 0 is
left out.

The primitives agree with tensorflow-addons 0.23, which is archived and does not import beside
Keras 3, and with `tf.image`: golden tests compare `about_centre`, `rotation_matrices`,
`shear_matrices`, `translation_matrices`, `transform`, `hue_saturation_matrices`, `block_out`,
`blur`, `mean_filter`, `sharpen`, `equalize_table` and MixUp's `blend`; others compare
`gamma_tables`, `saturate` and `crop_matrices`. Differences, all of them in what `augment` does with
the primitives:

    - tensorflow-addons truncates interpolated uint8 pixels, half a level too dark on average;
      `augment` interpolates in float32 and rounds. Its sharpness truncates the smooth
      version of a picture, which moves pixels by up to 1.4 levels.
    - `tfa.image.shear_x` shears about the upper left corner, `augment` about the centre.
    - `tfa.image.random_cutout` places the rectangle's centre anywhere, so that part of it may
      lie outside; here it always lies inside.
    - A picture's blur is one of 16 and its gamma one of 33, evenly spaced.
    - `tf.image.resize` repeats a crop's border pixels; here what lies beyond them is still known.
    - Saturation and hue are changed in YIQ, as `tfa.image.adjust_hsv_in_yiq` does, which keeps the
      luma and is a matrix; `tf.image.adjust_saturation` and `adjust_hue` work in HSV. Only
      `vivid` is the saturation of HSV.
    - `tf.image` clips after each operation; here colours are clipped once, at the end.

The warp is most of the cost, about 70 % of `strong`.
"""

from automl_flowers.data.augmentation.colour import (
    change_colours,
    hue_saturation_matrices,
    mean_colour,
    saturate,
)
from automl_flowers.data.augmentation.filters import (
    blur,
    gaussian_kernels,
    mean_filter,
    sharpen,
)
from automl_flowers.data.augmentation.geometry import (
    about_centre,
    compose,
    crop_matrices,
    flip_matrices,
    perspective_matrices,
    rotation_matrices,
    shear_matrices,
    transform,
    translation_matrices,
    vertical_flip_matrices,
    zoom_matrices,
)
from automl_flowers.data.augmentation.hiding import (
    GRID_RATIO,
    MAX_BLOCK_OUT_ASPECT,
    MIN_BLOCK_OUT_SIDE,
    block_out,
    mask_grid,
)
from automl_flowers.data.augmentation.mixing import mix, mix_labels
from automl_flowers.data.augmentation.numbers import (
    NUM_PARAMETERS,
    Column,
    sample_parameters,
)
from automl_flowers.data.augmentation.pictures import augment
from automl_flowers.data.augmentation.tone import equalize_table, gamma_tables, look_up

__all__ = [
    "GRID_RATIO",
    "MAX_BLOCK_OUT_ASPECT",
    "MIN_BLOCK_OUT_SIDE",
    "NUM_PARAMETERS",
    "Column",
    "about_centre",
    "augment",
    "block_out",
    "blur",
    "change_colours",
    "compose",
    "crop_matrices",
    "equalize_table",
    "flip_matrices",
    "gamma_tables",
    "gaussian_kernels",
    "hue_saturation_matrices",
    "look_up",
    "mask_grid",
    "mean_colour",
    "mean_filter",
    "mix",
    "mix_labels",
    "perspective_matrices",
    "rotation_matrices",
    "sample_parameters",
    "saturate",
    "sharpen",
    "shear_matrices",
    "transform",
    "translation_matrices",
    "vertical_flip_matrices",
    "zoom_matrices",
]

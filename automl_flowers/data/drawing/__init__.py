"""Pictures of flowers, drawn with NumPy and Pillow.

    traits       what a species looks like, as plain data
    families     builders for kinds of species;  catalogue  the 104 species of the competition
    textures     a petal, a leaf, a disc as a picture;  easel  puts it on the canvas in perspective
    blossoms     one flower;  plants  flowers on their stems;  scenery  what is behind and in front
    camera       light, colour cast, focus, noise;  picture  all of it, in order

`draw_flower(species_for(48), numpy.random.default_rng(0), 192)` is a daisy.
"""

from automl_flowers.data.drawing.catalogue import (
    LOOK_ALIKES,
    SPECIES,
    choose_classes,
    species_for,
)
from automl_flowers.data.drawing.picture import GARDEN, INDOORS, Look, draw_flower
from automl_flowers.data.drawing.traits import Species

__all__ = [
    "GARDEN",
    "INDOORS",
    "LOOK_ALIKES",
    "SPECIES",
    "Look",
    "Species",
    "choose_classes",
    "draw_flower",
    "species_for",
]

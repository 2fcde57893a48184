"""Copies: pictures that are the same photograph, however it was handled in between.

A copy may be resized, compressed again, mirrored, cropped, turned a little, lighter or darker, of
another hue, with a border. Candidates are found by descriptors of windows; each is confirmed on
pixels: the one picture is laid over the other, and their details have to agree.

    fingerprints   a small grey picture of each whole image, cached
    descriptors    a few numbers for what a window of it shows
    neighbours     which windows look like which whole pictures, also among very many
    alignment      one picture laid over another, and how well details agree
    equal          what is equal, linked by a bounded number of pairs
    pairs          pairs of copies, and the groups that they make
    find           all of these in a row
"""

from automl_flowers.data.copies.find import (
    MIN_AGREEMENT,
    OnProgress,
    find_copies,
    find_copies_among,
    find_copies_within,
)
from automl_flowers.data.copies.pairs import Copies, group_copies

__all__ = [
    "MIN_AGREEMENT",
    "Copies",
    "OnProgress",
    "find_copies",
    "find_copies_among",
    "find_copies_within",
    "group_copies",
]

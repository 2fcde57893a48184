"""Blends against those of other programs, and how honest their scores are.

simulate      members whose errors are partly shared, on classes of the competition's sizes
real          members read from files, or made of images: heads on frozen features
honesty       what is reported against what new images show, over many divisions
contestants   ways to blend of this project
rivals        those of AutoGluon, phem and `cma`, in an environment of their own
rival_worker  what runs there; needs nothing of this project
compare       test score, optimism and seconds of all
large         seconds and memory with 50 members of 12,753 images
command       arguments
"""

"""What a search may choose: backbones, fine-tuning, regularisation, augmentation, schedules.

Every choice is a function of `hp` (the part of `keras_tuner.HyperParameters` named in
`search_spaces.hyperparameters`) that returns a typed value. Nothing here imports TensorFlow,
so a space can be read, checked and listed in milliseconds.
"""

"""From a recipe to a compiled Keras model."""

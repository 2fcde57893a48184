"""Input pipelines that do the same to the same pictures.

usual      decoding, shuffling and batching as a careful notebook does it
notebook   tf.image's operations and a matrix of each image's own, an image at a time
layers     Keras' preprocessing layers, a batch at a time
command    ours, measuring, and the command line
"""

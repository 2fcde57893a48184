"""Plain Keras Tuner and this project on the same pictures.

splits        all pictures of a folder, divided anew for every repeat
plain_keras   model, data and callbacks as a careful Keras user writes them
peer          Keras Tuner's Hyperband, untouched
one_epoch     one epoch for many recipes, then the best of them in full
ours          this project, through its command line
measure       seconds and memory of a command, bytes of a folder
outcomes      what a contestant leaves, kept as it ends, so that nothing is run twice
compare       scores, paired differences and ratios
plot          the best score so far against the clock
command       arguments, and the loop over repeats and contestants
"""

"""How predictions are combined: metrics, blend weights and their honest scores.

NumPy, SciPy and scikit-learn only. A blend can be recomputed from saved predictions in
seconds, on a machine without TensorFlow.
"""

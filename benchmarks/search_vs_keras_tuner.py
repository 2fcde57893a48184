"""Plain Keras Tuner and this project on the same pictures, by time and by score.

    python benchmarks/search_vs_keras_tuner.py --data DIR --repeats 3 --out FILE.json

What is compared, how, and what was found: docs/benchmarks/search_vs_keras_tuner.md. The parts are
in the package of the same name beside this file.
"""

from search_vs_keras_tuner.command import main

if __name__ == "__main__":
    main()

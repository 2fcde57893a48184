"""Blends against those of other programs, how honest their scores are, and what a large one costs.

    python benchmarks/blending.py [--predictions DIR | --data DIR] --work DIR --out FILE.json
    python benchmarks/blending.py --honesty [--predictions DIR | --data DIR] --out FILE.json
    python benchmarks/blending.py --large --out FILE.json

`--predictions` is a folder of members' saved predictions, out of fold; `--data` is a folder of
images, of which members are made: heads on frozen features. Without either, members are
simulated. What was found: docs/benchmarks/blending.md. The parts are in the package of the same
name beside this file.
"""

from blending.command import main

if __name__ == "__main__":
    main()

"""This project's input pipeline beside the usual ones, and beside no pipeline at all.

    python benchmarks/input_pipeline.py --data DIR --out FILE.json

What is compared, how, and what was found: docs/benchmarks/input_pipeline.md. The parts are in the
package of the same name beside this file.
"""

from input_pipeline.command import main

if __name__ == "__main__":
    main()

"""Seconds and memory with 50 members, 12,753 images and 104 classes.

Memory is that of the whole process at its peak, less what it had before the input was made, over
the size of the input as float32.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

NUM_MODELS, NUM_IMAGES = 50, 12_753


def measure(num_models: int = NUM_MODELS, num_images: int = NUM_IMAGES) -> dict[str, float]:
    """Measure each in a process of its own."""
    greedy, chooser = (_run_apart(what, num_models, num_images) for what in ("greedy", "chooser"))
    return {
        "greedy_seconds": greedy["seconds"],
        "chooser_seconds": chooser["seconds"],
        "peak_memory_ratio": max(greedy["ratio"], chooser["ratio"]),
    }


def _run_apart(what: str, num_models: int, num_images: int) -> dict[str, float]:
    command = [sys.executable, "-m", "blending.large", what, str(num_models), str(num_images)]
    ran = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1]
    )
    return dict(json.loads(ran.stdout))


def run_part(what: str, num_models: int, num_images: int) -> dict[str, float]:
    """Return seconds and the ratio of memory of one part."""
    from ensembles.chooser import choose_blend
    from ensembles.selection import select_greedily

    from . import simulate

    before = read_memory("VmRSS")
    labels = simulate.draw_labels(num_images)
    stack = simulate.predict(simulate.make_world(0, num_models), labels, seed=1)
    started = time.perf_counter()
    if what == "greedy":
        select_greedily(labels, stack, num_picks=40)
    else:
        choose_blend(labels, stack)
    seconds = time.perf_counter() - started
    ratio = (read_memory("VmHWM") - before) / stack.nbytes
    return {"seconds": round(seconds, 2), "ratio": round(ratio, 2)}


def read_memory(name: str) -> int:
    """Return a figure of this process's memory in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"The system does not say `{name}`.")


if __name__ == "__main__":
    print(json.dumps(run_part(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))

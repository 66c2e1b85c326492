"""How long `genba --help` takes by the wall clock, best of five, the interpreter's own start included."""

import subprocess
import sys
import time

from _measure import Row, show

RUNS = 5


def best(*arguments: str) -> float:
    """Shortest wall time of a Python process, s."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Measure and print."""
    best("-c", "pass")
    show(
        "Front door",
        [
            Row(what="python -m genba --help", measured=best("-m", "genba", "--help"), wanted=0.3, unit="s"),
            Row(what="of which python itself", measured=best("-c", "pass"), wanted=0.3, unit="s"),
        ],
    )


if __name__ == "__main__":
    main()

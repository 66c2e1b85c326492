"""Reinforcement learning from nothing, without the expert: curves of three tasks over three seeds.

    python benchmarks/scratch.py               what is missing, then draws docs/scratch.svg and prints the table
    python benchmarks/scratch.py TeachPoint 0  one run; stopped or killed, the same command goes on with it
    python benchmarks/scratch.py draw          only draws and prints

A run is `genba train TASK --algo PPO` with the task's own recipe in one process. Each line of its file in
`benchmarks/data/scratch/` is what the deterministic policy does at one barrier, on seeds of its own, sense noise and
delay on. Time is CPU time of the process, so that a loaded machine bends the curves less; judging is in it.
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genba.policies.crews.crew import LocalCrew
from genba.policies.evaluate import evaluate
from genba.policies.pack import pack
from genba.policies.pages.plot import Panel, Plot, Series
from genba.policies.pages.plot_file import plot_file
from genba.policies.train import train
from genba.policies.training.recipe_load import load_recipe
from genba.robots.catalogue import load_robot

ROOT = Path(__file__).parents[1]
DATA = ROOT / "benchmarks" / "data" / "scratch"
RUNS = ROOT / "runs" / "scratch"
PICTURE = ROOT / "docs" / "scratch.svg"
TASKS = {"TeachPoint": "so101", "PickPlace": "so101", "PegInsert": "so101"}
SEEDS = (0, 1, 2)
EPISODES = 200


def read(task: str, seed: int) -> list[dict[str, Any]]:
    """Points of a run so far, and its evaluation at the end when it is over."""
    path = DATA / f"{task}_{seed}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def write(task: str, seed: int, rows: Sequence[Mapping[str, Any]]) -> None:
    """Replace the points of a run."""
    DATA.mkdir(parents=True, exist_ok=True)
    path = DATA / f"{task}_{seed}.jsonl"
    fresh = path.with_suffix(".part")
    fresh.write_text("".join(json.dumps(row) + "\n" for row in rows))
    fresh.replace(path)


def run(task: str, seed: int) -> None:
    """One run, from where it was left."""
    rows = read(task, seed)
    if rows and "evaluated" in rows[-1]:
        return
    robot, folder = TASKS[task], RUNS / f"{task}_{seed}"
    resume = (folder / "checkpoint.pt").exists()
    if not resume:
        rows = []  # of a run that is no longer there
    before, started = (rows[-1]["cpu_s"] if rows else 0.0), time.process_time()

    def watch(history: Sequence[Mapping[str, float]]) -> None:
        point = history[-1]
        if rows and rows[-1]["step"] >= point["step"]:
            return
        cpu = round(before + time.process_time() - started, 1)
        rows.append({"step": int(point["step"]), "cpu_s": cpu, **{k: round(point[k], 4) for k in KEYS}})
        write(task, seed, rows)

    recipe = load_recipe(task, load_robot(robot), changes=[("algorithm", "PPO")])
    train(
        task=task, robot=robot, out=folder, recipe=recipe, seed=seed, resume=resume, crew=LocalCrew(0), quiet=True,
        watch=watch,
    )  # fmt: skip
    rate = evaluate(pack(folder), EPISODES).rate
    rows.append({**rows[-1], "evaluated": rate.rate, "successes": rate.successes, "episodes": rate.episodes})
    write(task, seed, rows)


KEYS = ("scratch/success", "scratch/cycle_time", "scratch/return")


def draw() -> None:
    """Draw all curves there are, and print what each run came to."""
    success, rewards = [], []
    for task, robot in TASKS.items():
        runs = {seed: read(task, seed) for seed in SEEDS}
        for panels, key, words in ((success, KEYS[0], "success"), (rewards, KEYS[2], "return")):
            lines = tuple(
                Series(label=f"seed {s}", x=[r["cpu_s"] / 60.0 for r in rows], y=[r[key] for r in rows])
                for s, rows in runs.items()
            )
            shown = (0.0, 1.0) if words == "success" else ()
            panels.append(Panel(title=f"{task} {robot}", y_label=words, series=lines, shown=shown))
    plots = [
        Plot(title=name, panels=tuple(panels), x_label="CPU time of one process, minutes")
        for name, panels in (("success", success), ("return", rewards))
    ]
    PICTURE.write_text(plot_file(plots, [f"seed {s}" for s in SEEDS]))
    print("| task | seed | steps | CPU time | success over 200 episodes | return at first and last barrier |")
    print("|---|---|---|---|---|---|")
    for task, robot in TASKS.items():
        for seed in SEEDS:
            rows = read(task, seed)
            if not rows:
                continue
            last = rows[-1]
            rate = f"{last['evaluated']:.1%}" if "evaluated" in last else "under way"
            change = f"{rows[0][KEYS[2]]:.1f}, {last[KEYS[2]]:.1f}"
            print(f"| {task} {robot} | {seed} | {last['step']} | {last['cpu_s']:.0f} s | {rate} | {change} |")


def main() -> int:
    """Do what is asked for."""
    words = sys.argv[1:]
    if words != ["draw"]:
        tasks = [words[0]] if words else list(TASKS)
        seeds = [int(words[1])] if len(words) > 1 else list(SEEDS)
        for task in tasks:
            for seed in seeds:
                run(task, seed)
    draw()
    return 0


if __name__ == "__main__":
    sys.exit(main())

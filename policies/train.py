"""Training, whatever the algorithm: a recipe, a folder, and a run that can be killed at any moment and resumed.

Everything random derives from the seed, and every checkpoint holds all that the rest of the run depends on.
"""

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..envs.env import CellEnv
from ..robots.catalogue import load_robot
from ..robots.errors import RefusedError
from .crews.crew import Crew, LocalCrew
from .sight.sight_run import SightRun
from .training.algorithms import FROM_DEMOS, OURS
from .training.imitation_run import ImitationRun
from .training.outcome import Outcome
from .training.recipe import Recipe
from .training.recipe_check import check_steps
from .training.recipe_load import load_recipe
from .training.run_folder import RunFolder, Watch
from .training.scratch_run import ScratchRun
from .training.tempo import Tempo


def train(
    *,
    task: str,
    robot: str,
    out: Path,
    recipe: Recipe | None = None,
    steps: int | None = None,
    seed: int = 0,
    resume: bool = False,
    crew: Crew | None = None,
    quiet: bool = False,
    env: dict[str, Any] | None = None,
    demos: Path | None = None,
    watch: Watch | None = None,
) -> Outcome:
    """Train one policy; leaves `run.json`, `model.zip`, TensorBoard logs and a checkpoint in `out`.

    Args:
        task: Task name.
        robot: Robot name.
        out: Folder of the run.
        recipe: How; the task's own if not given.
        steps: Environment steps of reinforcement learning; the recipe's own number if not given.
        seed: Of everything random.
        resume: Go on from the last checkpoint in `out`.
        crew: Who runs the episodes; one process per processor if not given.
        quiet: Show no progress.
        env: Further keyword arguments of `CellEnv`.
        demos: Dataset of `genba demos` to begin with, instead of the expert; it decides their count and noise.
        watch: See `RunFolder`.

    Raises:
        RefusedError: If a name is unknown, the folder holds another run, there is nothing to resume, or the
            demonstrations do not fit.
    """
    if seed < 0:
        raise RefusedError(f"seed is {seed}; it must not be negative")
    if recipe is None:
        recipe = load_recipe(task, load_robot(robot))
    check_steps(recipe, steps)
    if demos is not None and recipe.algorithm not in FROM_DEMOS:
        raise RefusedError(
            f"{demos}: demonstrations do nothing with {recipe.algorithm}; take one of {', '.join(FROM_DEMOS)}"
        )
    options = {"task": task, "robot": robot, "randomize": recipe.randomize, **(env or {})}
    if recipe.level:
        options["level"] = recipe.level
    if recipe.obs == "rgb":
        if demos is not None:
            raise RefusedError(f"{demos}: demonstrations from disk do nothing with obs 'rgb', which collects its own")
        options |= {"obs": "rgb", "noise": False}  # labels are made of the truth, and no part is told to the policy
    cell = CellEnv(**options)
    try:
        given = None
        if demos is not None:
            from .demonstrations.read import read

            given = read(demos, cell)
            count, noise = given.identity.episodes, given.identity.noise
            told = replace(recipe.imitation, demonstrations=count, noise=noise)
            recipe = replace(recipe, imitation=told, tempo=Tempo())  # at which they were recorded
        table = recipe.to_json()
        identity = {"task": cell.task_name, "robot": cell.robot.name, "seed": seed, "recipe": table}
        identity["demos"] = given.digest if given else None
        run: ImitationRun | ScratchRun | SightRun
        if recipe.obs == "rgb":
            run = SightRun(cell, options, recipe, seed=seed)
        elif recipe.algorithm in OURS:
            trajectories, origin = (given.trajectories, given.path) if given else (None, None)
            run = ImitationRun(cell, options, recipe, seed=seed, steps=steps, given=trajectories, origin=origin)
        else:
            run = ScratchRun(cell, options, recipe, seed=seed, steps=steps)
            table["scratch"]["steps"] = run.steps
        run.open(RunFolder(out, identity, resume=resume, watch=watch))
        if crew is not None:
            run.work(crew, quiet=quiet)
        else:
            with closing(LocalCrew()) as here:
                run.work(here, quiet=quiet)
    finally:
        cell.close()
    return run.outcome()

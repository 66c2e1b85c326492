"""Recipes are data, read strictly: every one in the catalogue can be read for every arm, and no key does nothing."""

from pathlib import Path
from typing import Any

import pytest

from genba.envs.tasks import load_task, task_names
from genba.policies.training.algorithms import ALGORITHMS, LIBRARY, OURS
from genba.policies.training.recipe_load import load_recipe, parse_change, recipe_files
from genba.policies.training.tempo import Tempo
from genba.robots.catalogue import load_robot, robot_names
from genba.robots.errors import RefusedError


def changed(*words: str, task: str = "PickPlace", file: Path | None = None) -> Any:
    return load_recipe(task, load_robot("so101"), file=file, changes=[parse_change(word) for word in words])


@pytest.mark.parametrize("name", robot_names())
@pytest.mark.parametrize("task", task_names())
def test_every_task_has_a_recipe_for_every_arm(task: str, name: str) -> None:
    robot = load_robot(name)
    for algorithm in ALGORITHMS:
        recipe = load_recipe(task, robot, changes=[("algorithm", algorithm)])
        assert recipe.algorithm == algorithm
    level = load_recipe(task, robot).level
    assert not level or level in load_task(task)(robot, robot.tolerance, None).levels


def test_every_recipe_is_that_of_a_task() -> None:
    assert set(recipe_files()) <= set(task_names())


def test_an_arm_may_have_numbers_of_its_own() -> None:
    servo, lab = (load_recipe("PickPlace", load_robot(name)) for name in ("so101", "panda"))
    assert servo.imitation.noise > lab.imitation.noise


def test_what_a_person_asks_for_comes_last(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[imitation]\nrounds = 3\nepisodes = 5\n[robots.so101.imitation]\nepisodes = 6\n", encoding="utf-8")
    recipe = changed("imitation.rounds=4", "nets.actor=[64, 32]", file=file)
    assert (recipe.imitation.rounds, recipe.imitation.episodes) == (4, 6)
    assert recipe.nets.actor == (64, 32)


def test_a_tempo_of_its_own_takes_back_what_was_said_before(tmp_path: Path) -> None:
    panda = load_robot("panda")
    file = tmp_path / "mine.toml"
    file.write_text("[robots.panda]\ntempo = 'own'\n", encoding="utf-8")
    assert not load_recipe("Sort", panda).tempo.own
    assert load_recipe("Sort", panda, file=file).tempo == Tempo()
    assert load_recipe("Sort", panda, changes=[("tempo", "own")]).tempo == Tempo()
    assert load_recipe("Sort", panda, file=file, changes=[("tempo.lead", 0.5)]).tempo == Tempo(lead=0.5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["imitation.roundz=3"], r"unknown key 'roundz'; allowed: .*rounds"),
        (["colour=red"], "unknown key 'colour'"),
        (["imitation.rounds=many"], "expected a whole number"),
        (["imitation.rounds=-1"], "imitation.rounds is -1"),
        (["imitation.batch=0"], "imitation.batch is 0"),
        (["imitation.mix=1.5"], "imitation.mix is 1.5"),
        (["obs=rgb", "algorithm=imitate", "imitation.mix=0.5"], "imitation.mix does nothing with obs 'rgb'"),
        (["nets.actor=[]"], "units of one hidden layer or more"),
        (["imitation"], "expected KEY=VALUE"),
        (["tempo=brisk"], "tempo: expected a table"),
        (["tempo.quicken=0"], "tempo.quicken is 0"),
        (["search.trials=3"], "'search' does nothing with imitate"),
        (["algorithm=tempo+imitate", "search.trials=0"], "search.trials is 0"),
        (["algorithm=tempo+imitate", "tempo.lead=1.0"], "'tempo' does nothing with tempo"),
        (["algorithm=PPO", "tempo.lead=1.0"], "'tempo' does nothing with PPO"),
        (["algorithm=imitate", "improvement.rounds=3"], "'improvement' does nothing with imitate"),
        (["algorithm=SAC", "imitation.rounds=3"], "'imitation' does nothing with SAC"),
        (["algorithm=SAC", "curriculum=true"], "'curriculum' does nothing with SAC"),
        (["algorithm=SAC", "algorithms.TD3.tau=0.1"], "algorithms.TD3 does nothing"),
        (["algorithm=SAC", "algorithms.SAC.lr=0.1"], "SAC has no 'lr'; it has: .*learning_rate"),
        (["algorithm=PPO", "scratch.hindsight=2"], "hindsight does nothing with PPO"),
        (["algorithm=SAC", "scratch.explore=0.2"], "explore does nothing with SAC"),
        (["algorithm=SAC", "scratch.explore_last=0.2"], "explore_last does nothing with SAC"),
        (["algorithm=PPO", "nets.actor=[64]"], "'nets' does nothing with PPO"),
        (["algorithm=PPO", "scratch.nets.actor=[]"], "scratch.nets.actor is .* units of one hidden layer or more"),
        (["algorithm=SAC", "scratch.reward=nice"], "there are: sparse, dense"),
        (["algorithm=RecurrentPPO"], "not offered: .* take PPO"),
        (["algorithm=Sarsa"], "no algorithm named 'Sarsa'; there are: imitate"),
    ],
)
def test_a_switch_that_does_nothing_is_refused_in_one_line(words: list[str], said: str) -> None:
    with pytest.raises(RefusedError, match=said) as refusal:
        changed(*words)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_a_run_remembers_is_what_its_algorithm_reads(algorithm: str) -> None:
    table = changed(f"algorithm={algorithm}").to_json()
    assert ("imitation" in table) == (algorithm in OURS)
    assert ("scratch" in table) == (algorithm in LIBRARY)
    assert set(table.get("algorithms", {})) <= {algorithm}

"""How a policy is trained, as data: `recipes/<Task>.toml`, and what a person changes of it.

    recipes/_all.toml < recipes/<Task>.toml < --recipe FILE < --set KEY=VALUE
    and in each file: its own tables < [tolerances.<class>] < [robots.<name>] < [rgb], where pictures are asked for

Tables are merged key by key and then read strictly. A key that nobody reads is refused, and so is one that a person
sets although the algorithm has no use for it: a switch that does nothing has cost many a night of computing.
"""

import inspect
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from ..robots.description import RobotDescription
from ..robots.errors import RefusedError
from ..robots.strict import build, load_toml
from .tempo import Tempo

OURS: Final = ("imitate", "imitate+sac", "tempo+imitate")
LIBRARY: Final[Mapping[str, str]] = {
    "PPO": "stable_baselines3",
    "SAC": "stable_baselines3",
    "TD3": "stable_baselines3",
    "DDPG": "stable_baselines3",
    "TQC": "sb3_contrib",
    "CrossQ": "sb3_contrib",
}
ALGORITHMS: Final = (*OURS, *LIBRARY)
FROM_DEMOS: Final = ("imitate", "imitate+sac")  # those that can begin with demonstrations from disk
OBSERVED: Final = ("state", "rgb")
# What a training from pictures has no use for.
SIGHTLESS: Final = (("nets", "critic"),)
ON_POLICY: Final = ("PPO",)
WITHOUT_GOALS: Final = ("CrossQ",)  # takes no dict of observation and goal, so it cannot learn from hindsight
WITHOUT_NOISE: Final = ("TD3", "DDPG")  # deterministic, so they explore by noise on their actions
NOT_OFFERED: Final[Mapping[str, str]] = {
    "RecurrentPPO": "no task here hides what a memory would have to keep, and a bundle runs without one; take PPO",
    "A2C": "PPO does the same with fewer steps; take PPO",
}
# What `policies/scratch_run.py` decides itself.
TAKEN: Final = (
    "policy", "env", "seed", "device", "verbose", "_init_setup_model", "policy_kwargs", "tensorboard_log",
    "replay_buffer_class", "replay_buffer_kwargs", "optimize_memory_usage", "stats_window_size", "rollout_buffer_class",
    "rollout_buffer_kwargs", "action_noise", "use_sde", "sde_sample_freq", "use_sde_at_warmup",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Nets:
    """Hidden layers.

    Attributes:
        actor: Units of each hidden layer of the policy; the bundle carries these.
        critic: Units of each hidden layer of what judges it in training.
    """

    actor: tuple[int, ...] = (128, 128)
    critic: tuple[int, ...] = (256, 256)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImitationRecipe:
    """How much of what, while the expert is imitated.

    Attributes:
        demonstrations: Episodes of the expert; the second half of them with noise.
        noise: Standard deviation of the noise on the expert's actions as sent.
        rounds: DAgger rounds at most.
        sure: Rounds in a row in which no learner episode fails, after which the rest is left out.
        episodes: Learner episodes in each round.
        first_updates: Gradient steps on the demonstrations.
        updates: Gradient steps after each round.
        last_updates: Gradient steps at the end, with a falling learning rate.
        batch: Samples per gradient step.
        learning_rate: Adam's.
        huber: Error of an action from which on the loss grows linearly: below it small errors hardly count, and what
            puts a part into its place within half a millimetre are small actions.
    """

    demonstrations: int = 96
    noise: float = 0.2
    rounds: int = 20
    sure: int = 3
    episodes: int = 60
    first_updates: int = 2500
    updates: int = 1500
    last_updates: int = 5000
    batch: int = 256
    learning_rate: float = 1e-3
    huber: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRecipe:
    """How long the expert's tempo is searched for.

    Attributes:
        trials: Tempos that are tried, the expert's own first.
        blind: How many of them before the search begins to conclude from those before.
        episodes: Of each trial; all run the same ones.
        finalists: How many of the best are proved by other episodes, beside the best one slowed down.
        proof: How many those are.
        failure: What a failed episode costs, in cycles of the expert's own: at 10 a tempo must be a tenth shorter for
            every hundredth of the episodes that it fails more.
    """

    trials: int = 25
    blind: int = 6
    episodes: int = 16
    finalists: int = 3
    proof: int = 64
    failure: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SightRecipe:
    """How much of what, while a policy learns to see.

    Attributes:
        convolutions: Channels, kernel and stride of each convolution.
        hidden: Units of each hidden layer behind the convolutions.
        every: Ticks between two pictures that are kept.
        glances: For each of them, how many more of what would be seen if the hand were a little elsewhere.
        patience: Learner episodes are cut after so many times the length of the longest demonstration.
        first_updates: Gradient steps on the pictures of the demonstrations.
        updates: Gradient steps after each round.
        last_updates: Gradient steps at the end.
        batch: Pictures of each camera per gradient step.
        learning_rate: Adam's at the beginning of each fit, along which it falls.
        fields: Weight of the error of the estimated fields against that of the action.
    """

    convolutions: tuple[tuple[int, int, int], ...] = ((8, 5, 2), (16, 3, 2), (24, 3, 1))
    hidden: tuple[int, ...] = (128, 128)
    every: int = 8
    glances: int = 2
    patience: float = 1.5
    first_updates: int = 3000
    updates: int = 800
    last_updates: int = 3000
    batch: int = 64
    learning_rate: float = 1e-3
    fields: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImprovementRecipe:
    """How much of what, while the warm start is improved.

    Attributes:
        gamma: Discount per tick.
        steps: Ticks in one transition.
        hindsight: Share of samples with a hindsight goal.
        rounds: Rounds of collecting and learning.
        episodes: Learner episodes per round.
        explore: Standard deviation of the exploration, see `collect.Job`.
        critic_updates: Critic updates before the actor moves.
        updates: Updates per round.
        batch: Samples per update, half of them demonstrations.
        learning_rate: Adam's for the critic.
        actor_rate: Adam's for the actor.
        tau: Share of the critic that its target takes over per update.
        temperature: Spread of advantages, in their standard deviation, that changes a sample's weight by e.
        anchor: Weight of the expert's labels, which keeps what the advantage does not speak about.
    """

    gamma: float = 0.985
    steps: int = 8
    hindsight: float = 0.3
    rounds: int = 12
    episodes: int = 24
    explore: float = 0.25
    critic_updates: int = 3000
    updates: int = 800
    batch: int = 256
    learning_rate: float = 1e-3
    actor_rate: float = 1e-4
    tau: float = 0.01
    temperature: float = 0.5
    anchor: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchRecipe:
    """How much of what, with an algorithm of the library and no expert at all.

    Attributes:
        steps: Environment steps in all.
        cells: Cells side by side.
        reward: "sparse" or "dense".
        barrier: Environment steps between two checkpoints, at which all episodes begin anew.
        hindsight: Relabelled samples for each true one in a batch; off-policy algorithms only, 0 for none.
        explore: Standard deviation of the noise on actions, where SAC, TQC and CrossQ find their own; what PPO makes of
            it by itself may be less.
        explore_last: The same at the end of the run; it falls by the same factor from barrier to barrier.
        glance: Episodes by which each barrier is judged.
        nets: Hidden layers; smaller than where an expert is imitated, because here they take most of the time.
    """

    steps: int = 300_000
    cells: int = 8
    reward: str = "dense"
    barrier: int = 20_000
    hindsight: int = 4
    explore: float = 0.5
    explore_last: float = 0.1
    glance: int = 16
    nets: Nets = field(default_factory=lambda: Nets(actor=(64, 64), critic=(64, 64)))


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides what a training does, beside its task, its arm and its seed.

    Attributes:
        algorithm: One of `ALGORITHMS`; "imitate" where pictures are asked for and nothing is said.
        obs: What the policy sees: "state", or "rgb" for pictures instead of the fields that they show.
        randomize: What differs between episodes: "off", "nominal" or "wide".
        level: Degree of difficulty; what the arm is judged by if empty.
        curriculum: Climb to that level from the easiest one.
        nets: Hidden layers where the expert is imitated.
        tempo: How briskly the expert moves that is imitated; "tempo+imitate" finds it and does not read it here.
        search: For "tempo+imitate".
        imitation: For all that imitates.
        sight: For "rgb".
        improvement: For "imitate+sac".
        scratch: For algorithms of the library.
        algorithms: Keyword arguments of the library's algorithms, by name.
    """

    algorithm: str = "imitate+sac"
    obs: str = "state"
    randomize: str = "off"
    level: str = ""
    curriculum: bool = False
    nets: Nets = field(default_factory=Nets)
    tempo: Tempo = field(default_factory=Tempo)
    search: SearchRecipe = field(default_factory=SearchRecipe)
    imitation: ImitationRecipe = field(default_factory=ImitationRecipe)
    sight: SightRecipe = field(default_factory=SightRecipe)
    improvement: ImprovementRecipe = field(default_factory=ImprovementRecipe)
    scratch: ScratchRecipe = field(default_factory=ScratchRecipe)
    algorithms: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def options(self) -> dict[str, Any]:
        """Keyword arguments of the library's algorithm that is used."""
        return self.algorithms.get(self.algorithm, {})

    def to_json(self) -> dict[str, Any]:
        """What this algorithm reads of it, as plain values; a run is resumed with exactly these."""
        table = asdict(self)
        for name in set(table) - _read_by(self.algorithm, self.obs):
            del table[name]
        if self.obs == "state":
            del table["obs"]
        else:
            for group, key in SIGHTLESS:
                del table[group][key]
        if "algorithms" in table:
            table["algorithms"] = {self.algorithm: self.options}
        return {key: plain(value) for key, value in table.items()}


def recipe_files() -> dict[str, Path]:
    """The recipes that come with genba, by task."""
    folder = Path(str(files(__package__))) / "recipes"
    return {path.stem: path for path in sorted(folder.glob("*.toml")) if not path.stem.startswith("_")}


def load_recipe(
    task: str, robot: RobotDescription, *, file: Path | None = None, changes: Iterable[tuple[str, Any]] = ()
) -> Recipe:
    """The recipe of a task on an arm, with what a person changes.

    Args:
        task: Task name; one without a file of its own gets the common recipe.
        robot: The arm, whose tolerance class and name may have tables of their own.
        file: TOML with changes.
        changes: Dotted keys and values, such as ("imitation.rounds", 4), applied last.

    Raises:
        RefusedError: If a file cannot be read, or a key is unknown, malformed or of no use to the algorithm.
    """
    common = Path(str(files(__package__))) / "recipes" / "_all.toml"
    changed: dict[str, Any] = {}
    for key, value in changes:
        *path_, last = key.split(".")
        inner: dict[str, Any] = {last: value}
        for name in reversed(path_):
            inner = {name: inner}
        _merge(changed, inner)
    own = load_toml(file) if file is not None else {}
    obs = changed.get("obs", own.get("obs", "state"))
    asked = _for_arm(own, robot, file, obs) if file is not None else {}
    _merge(asked, changed)
    table: dict[str, Any] = {}
    for path in (common, recipe_files().get(task)):
        if path is not None:
            _merge(table, _for_arm(load_toml(path), robot, path, obs))
    _merge(table, asked)
    recipe = build(Recipe, table, f"recipe of {task}")
    _check(recipe, asked, f"recipe of {task}")
    return recipe


def parse_change(text: str) -> tuple[str, Any]:
    """One `KEY=VALUE` of the command line.

    Args:
        text: Such as "imitation.rounds=4" or "nets.actor=[64, 64]"; a value that is no TOML is taken as a string.

    Raises:
        RefusedError: If there is no "=".
    """
    key, sign, value = text.partition("=")
    if not sign or not key.strip():
        raise RefusedError(f"--set {text!r}: expected KEY=VALUE, such as imitation.rounds=4")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def check_algorithm(name: str) -> None:
    """Refuse an algorithm that is not offered.

    Raises:
        RefusedError: The text lists those there are, or says what to take instead.
    """
    if name in NOT_OFFERED:
        raise RefusedError(f"{name} is not offered: {NOT_OFFERED[name]}")
    if name not in ALGORITHMS:
        raise RefusedError(f"no algorithm named {name!r}; there are: {', '.join(ALGORITHMS)}")


def algorithm_class(name: str) -> Any:
    """The class of one of the library's algorithms; imports torch."""
    return getattr(import_module(LIBRARY[name]), name)


def _for_arm(table: dict[str, Any], robot: RobotDescription, path: Path, obs: object) -> dict[str, Any]:
    """A file's table with what it says for this arm, and for pictures, merged in."""
    classes, robots, rgb = table.pop("tolerances", {}), table.pop("robots", {}), table.pop("rgb", {})
    if not isinstance(rgb, dict):
        raise RefusedError(f"{path}: rgb must be a table, such as [rgb.imitation]")
    for name, group in (("tolerances", classes), ("robots", robots)):
        if not isinstance(group, dict) or not all(isinstance(value, dict) for value in group.values()):
            raise RefusedError(f"{path}: {name} must hold tables, such as [{name}.NAME.imitation]")
    _merge(table, classes.get(robot.tolerance, {}))
    _merge(table, robots.get(robot.name, {}))
    _merge(table, rgb if obs == "rgb" else {})
    return table


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value


def _read_by(algorithm: str, obs: str) -> set[str]:
    """Tables and keys that an algorithm reads."""
    common = {"algorithm", "obs", "randomize", "level"}
    if obs == "rgb":
        return common | {"nets", "tempo", "imitation", "sight"}
    if algorithm in OURS:
        own = {"imitate": {"tempo"}, "imitate+sac": {"tempo", "improvement"}, "tempo+imitate": {"search"}}
        return common | {"curriculum", "nets", "imitation"} | own[algorithm]
    return common | {"scratch", "algorithms"}


def _check(recipe: Recipe, asked: Mapping[str, Any], where: str) -> None:
    check_algorithm(recipe.algorithm)
    if recipe.obs not in OBSERVED:
        raise RefusedError(f"{where}: obs is {recipe.obs!r}; there are: {', '.join(OBSERVED)}")
    if recipe.obs == "rgb" and recipe.algorithm != "imitate":
        raise RefusedError(f"{where}: {recipe.algorithm} does not learn from pictures; obs 'rgb' needs 'imitate'")
    if recipe.obs == "rgb" and recipe.imitation.episodes < 2:
        raise RefusedError(
            f"{where}: imitation.episodes is 1; from pictures every other one is judged, so take 2 or more"
        )
    for group, key in SIGHTLESS if recipe.obs == "rgb" else ():
        if key in asked.get(group, {}):
            raise RefusedError(f"{where}: {group}.{key} does nothing with obs 'rgb'")
    known = _read_by(recipe.algorithm, recipe.obs)
    who = f"{recipe.algorithm} from pictures" if recipe.obs == "rgb" else recipe.algorithm
    for key in asked:
        if key not in known and not (key == "curriculum" and not asked[key]):
            raise RefusedError(f"{where}: {key!r} does nothing with {who}, which reads {_list(known)}")
    for name in asked.get("algorithms", {}):
        if name != recipe.algorithm:
            raise RefusedError(f"{where}: algorithms.{name} does nothing, because the algorithm is {recipe.algorithm}")
    for name, options in recipe.algorithms.items():
        if name not in LIBRARY or not isinstance(options, dict):
            raise RefusedError(f"{where}: algorithms.{name} is no table of one of {', '.join(LIBRARY)}")
    if recipe.algorithm in LIBRARY:
        allowed = _arguments(recipe.algorithm)
        for key in recipe.options:
            if key not in allowed:
                raise RefusedError(f"{where}: {recipe.algorithm} has no {key!r}; it has: {_list(allowed)}")
        scratch = asked.get("scratch", {})
        if recipe.algorithm in ON_POLICY and "hindsight" in scratch:
            raise RefusedError(
                f"{where}: scratch.hindsight does nothing with {recipe.algorithm}, which keeps no replay"
            )
        for key in ("explore", "explore_last"):
            if recipe.algorithm not in (*WITHOUT_NOISE, *ON_POLICY) and key in scratch:
                raise RefusedError(
                    f"{where}: scratch.{key} does nothing with {recipe.algorithm}, which explores by itself"
                )
    _check_numbers(recipe, where)


def _check_numbers(recipe: Recipe, where: str) -> None:
    """Every count at least 1, every rate above 0."""
    zero = {"noise", "explore", "hindsight", "anchor", "critic_updates", "rounds", "lead", "lead_down"}
    zero |= {"blind", "glances"}
    for name in ("tempo", "search", "imitation", "sight", "improvement", "scratch"):
        for key, value in asdict(getattr(recipe, name)).items():
            if isinstance(value, str | tuple | dict):
                continue
            if value < 0 or (value == 0 and key not in zero):
                raise RefusedError(f"{where}: {name}.{key} is {value}; it must be above 0")
    if not recipe.sight.convolutions or not recipe.sight.hidden or min(recipe.sight.hidden) < 1:
        raise RefusedError(f"{where}: sight needs at least one convolution and one hidden layer")
    for place, nets in (("nets", recipe.nets), ("scratch.nets", recipe.scratch.nets)):
        for name, sizes in asdict(nets).items():
            if not sizes or min(sizes) < 1:
                raise RefusedError(
                    f"{where}: {place}.{name} is {list(sizes)}; give the units of one hidden layer or more"
                )
    if recipe.scratch.reward not in ("sparse", "dense"):
        raise RefusedError(f"{where}: scratch.reward is {recipe.scratch.reward!r}; there are: sparse, dense")


@cache
def _arguments(algorithm: str) -> set[str]:
    signature = inspect.signature(algorithm_class(algorithm).__init__)
    return set(signature.parameters) - {"self", *TAKEN}


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def plain(value: Any) -> Any:
    """A value with lists for its tuples, as JSON and TOML have them."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, tuple | list) else value

"""How a policy is trained, as data; `recipe_load.py` says where the numbers come from."""

from dataclasses import asdict, dataclass, field
from typing import Any

from .algorithms import SIGHTLESS, read_by
from .tempo import Tempo


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
        mix: Share of the turns in which the expert acts in the first round instead of the learner, who so gets to see
            the end of a long task before it has learned the beginning; the share falls to none.
        mix_rounds: Rounds until it is none.
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
    mix: float = 0.0
    mix_rounds: int = 8
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
        for name in set(table) - read_by(self.algorithm, self.obs):
            del table[name]
        if self.obs == "state":
            del table["obs"]
        else:
            for group, key in SIGHTLESS:
                del table[group][key]
        if "algorithms" in table:
            table["algorithms"] = {self.algorithm: self.options}
        return {key: plain(value) for key, value in table.items()}


def plain(value: Any) -> Any:
    """A value with lists for its tuples, as JSON and TOML have them."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, tuple | list) else value

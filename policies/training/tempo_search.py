"""The tempo at which an expert does its work soonest without failing more often: a search by trial.

Every trial runs the expert at one tempo through the same episodes, noise and delays on, and costs their mean cycle, a
failure as much as `failure` cycles of the expert's own. Optuna proposes the next from all before. The best few, the
best one slowed down by steps, and the expert's own then run other episodes, and what costs least there is taken: of
many that look good some were lucky, and those are the boldest.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from .collect import Collectors, Trajectory
from .recipe import SearchRecipe
from .tempo import Tempo

RANGES = {"quicken": (1.0, 2.5), "lead": (0.0, 1.3), "lead_down": (0.0, 1.3), "near": (0.03, 1.0), "hold": (1.2, 3.0)}
SLOWED = (0.85, 0.7, 0.5)  # shares of the way from the expert's own tempo to the best one
LIKELY = (  # where drives follow well, and where they follow best
    Tempo(quicken=1.45, lead=1.0, lead_down=1.0, near=0.2, hold=1.6),
    Tempo(quicken=1.7, lead=1.0, lead_down=1.0, near=0.1, hold=1.6),
)
FIRST = Tempo(), *LIKELY  # tried before anything is proposed


@dataclass(slots=True, kw_only=True)
class TempoSearch:
    """State of a search: what a checkpoint must hold.

    Attributes:
        recipe: How long.
        seed: First seed of its episodes.
        dt: Time of one tick, s.
        hold: Time for which success must hold before an episode ends, s; no part of a cycle.
        own: Mean cycle of the expert's own tempo, s.
        trials: Tempo and cost of each trial, s.
        steps: Environment steps so far.
        found: What was taken in the end.
    """

    recipe: SearchRecipe
    seed: int
    dt: float
    hold: float
    own: float = 0.0
    trials: list[tuple[Tempo, float]] = field(default_factory=list)
    steps: int = 0
    found: Tempo | None = None

    def run(self, collectors: Collectors, advance: Callable[[str], None], save: Callable[[], None]) -> Tempo:
        """Do all trials that are not done yet.

        Args:
            collectors: Who run the episodes.
            advance: Told what each trial gave.
            save: Called after each.
        """
        recipe = self.recipe
        if self.found is not None:
            return self.found
        if recipe.trials > len(FIRST):
            import optuna  # noqa: F401 - who has not got it is told before minutes of work, not after
        seeds = range(self.seed, self.seed + recipe.episodes)
        while len(self.trials) < recipe.trials:
            tempo = self._propose()
            episodes = self._episodes(collectors, tempo, seeds)
            if not self.trials:
                good = [c for c in self._cycles(episodes) if c is not None]
                self.own = float(np.mean(good)) if good else len(episodes[0]) * self.dt
            self.trials.append((tempo, self._cost(episodes)))
            save()
            advance(f"best: a cycle costs {min(cost for _, cost in self.trials):.2f} s, the expert's {self.own:.2f} s")
        best = sorted(self.trials[1:], key=lambda trial: trial[1])[: recipe.finalists]
        finalists = [Tempo(), *(tempo for tempo, _ in best)]
        finalists += [_between(tempo, share) for tempo, _ in best[:1] for share in SLOWED]
        first = self.seed + recipe.episodes
        proof = range(first, first + recipe.proof)
        costs = [self._cost(self._episodes(collectors, tempo, proof)) for tempo in finalists]
        self.found = finalists[int(np.argmin(costs))]
        save()
        words = ", ".join(f"{key} {value:.3g}" for key, value in asdict(self.found).items())
        advance("the expert's own" if self.found.own else words)
        return self.found

    def _episodes(self, collectors: Collectors, tempo: Tempo, seeds: Sequence[int]) -> list[Trajectory]:
        episodes = collectors.collect(seeds, tempo=tempo)
        self.steps += sum(len(t) for t in episodes)
        return episodes

    def _cycles(self, episodes: Sequence[Trajectory]) -> list[float | None]:
        return [len(t) * self.dt - self.hold if t.success else None for t in episodes]

    def _cost(self, episodes: Sequence[Trajectory]) -> float:
        failed = self.recipe.failure * self.own
        return float(np.mean([failed if cycle is None else cycle for cycle in self._cycles(episodes)]))

    def _propose(self) -> Tempo:
        """What to try next; depends on the trials so far and on nothing else."""
        if len(self.trials) < len(FIRST):
            return FIRST[len(self.trials)]
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        spaces: dict[str, optuna.distributions.BaseDistribution] = {
            key: optuna.distributions.FloatDistribution(*limits, log=key == "near") for key, limits in RANGES.items()
        }
        number = int(np.random.SeedSequence((self.seed, len(self.trials))).generate_state(1)[0])
        sampler = optuna.samplers.TPESampler(seed=number, multivariate=True, n_startup_trials=self.recipe.blind)
        study = optuna.create_study(sampler=sampler)
        for tempo, cost in self.trials:
            values: dict[str, Any] = {key: getattr(tempo, key) for key in RANGES}
            values["hold"] = tempo.hold or RANGES["hold"][1]  # as far as the expert's: farthest
            study.add_trial(optuna.trial.create_trial(params=values, distributions=spaces, value=cost))
        trial = study.ask(spaces)
        return Tempo(**{key: round(value, 3) for key, value in trial.params.items()})

    def state(self) -> dict[str, Any]:
        """Plain values that `load_state` needs."""
        return {
            "own": self.own,
            "trials": [[asdict(tempo), cost] for tempo, cost in self.trials],
            "steps": self.steps,
            "found": asdict(self.found) if self.found else None,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where a checkpoint was taken."""
        self.own, self.steps = state["own"], state["steps"]
        self.trials = [(Tempo(**table), cost) for table, cost in state["trials"]]
        self.found = Tempo(**state["found"]) if state["found"] else None


def _between(tempo: Tempo, share: float) -> Tempo:
    """A share of the way from the expert's own tempo."""
    return Tempo(
        quicken=1.0 + share * (tempo.quicken - 1.0),
        lead=share * tempo.lead,
        lead_down=share * tempo.lead_down,
        near=tempo.near,
        hold=tempo.hold,
    )

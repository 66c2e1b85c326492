"""Episodes by actors on other machines: `Crew` over a Ray cluster.

    what all jobs share -> object store, once a machine      job -> an actor that is free -> result

An actor that is lost, because it was killed or because its machine has left, is replaced, and its job is done again
from the beginning by whoever is free: what it had done of it is discarded. A job gives the same result whoever does it.
"""

import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass

# What multiprocessing itself sends between the processes of one program; nothing here reads a file.
from multiprocessing.reduction import ForkingPickler
from typing import TYPE_CHECKING, Any, TypeVar

import ray
from ray.exceptions import RayError, RayTaskError

from ... import __version__
from ...robots.errors import RefusedError
from .crew import CrewError
from .ray_actors import PATIENCE_S, TRIES, Hand, hire, packed
from .ray_session import RaySession, cause_of, words_of

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv

J = TypeVar("J")
R = TypeVar("R")

logger = logging.getLogger(__name__)

CELLS = 16  # per actor at least: a call to an actor takes about 1 ms, a step of a cell a fifth of that


class RayCrew:
    """Actors of a cluster, one for each of its processors."""

    def __init__(self, address: str) -> None:
        """Join a cluster; actors start when there is something to do.

        Args:
            address: See `RaySession`.

        Raises:
            RefusedError: If it is no address.
            CrewError: If no cluster answers.
        """
        self._session: RaySession | None = RaySession(address)
        self._idle: deque[Any] = deque()
        self._coming: dict[Any, Any] = {}  # what an actor has still to answer before it is free -> actor
        self.size = max(self._session.processors, 1)

    def run(
        self, function: Callable[[J], R], jobs: Sequence[J], on_result: Callable[[R], None] | None = None
    ) -> list[R]:
        """See `Crew.run`."""
        kind, common, parts = _split(jobs)
        shared = ray.put(packed(common))
        waiting, busy = deque(range(len(jobs))), dict[Any, tuple[Any, int]]()
        results: dict[int, R] = {}
        lost = Counter[int]()
        vain = 0  # actors lost in a row that have not even greeted
        for _ in range(min(self.size, len(jobs)) - len(self._idle) - len(self._coming)):
            self._hire()
        try:
            while len(results) < len(jobs):
                while waiting and self._idle:
                    hand, index = self._idle.popleft(), waiting.popleft()
                    busy[hand.work.remote(function, kind, shared, packed(parts[index]))] = hand, index
                done, _ = ray.wait([*busy, *self._coming], timeout=None if busy else PATIENCE_S)
                if not done:
                    raise CrewError(
                        f"the cluster gave no processor within {PATIENCE_S:.0f} s; see who holds them with `ray status`"
                    )
                ref = done[0]
                if ref in self._coming:
                    vain = 0 if self._welcome(ref) else vain + 1
                    if vain > TRIES * self.size:
                        raise CrewError("every new actor of the cluster is lost at once; look into its logs")
                    continue
                hand, index = busy.pop(ref)
                try:
                    result = ForkingPickler.loads(ray.get(ref))
                except RayTaskError as error:
                    self._idle.append(hand)
                    raise cause_of(error) from None
                except RayError as error:
                    lost[index] += 1
                    if lost[index] >= TRIES:
                        raise CrewError(f"a job has lost {TRIES} actors, perhaps for want of memory") from error
                    logger.warning("an actor is lost, its episodes begin anew: %s", words_of(error))
                    waiting.appendleft(index)
                    self._hire()
                    continue
                self._idle.append(hand)
                results[index] = result
                if on_result:
                    on_result(result)
        finally:
            # Whoever still works on something that nobody will see is free when that is done.
            self._coming.update({ref: hand for ref, (hand, _) in busy.items()})
        return [results[k] for k in range(len(jobs))]

    def cells(self, task: str, n: int, options: Mapping[str, Any]) -> "VecEnv":
        """See `Crew.cells`."""
        from .ray_vector import RayVecEnv

        return RayVecEnv(task, n, max(1, min(self.size, n // CELLS)), options=options)

    def close(self) -> None:
        """Let all actors go and leave the cluster."""
        session, self._session = self._session, None
        if session is None:
            return
        for hand in (*self._idle, *self._coming.values()):
            ray.kill(hand)
        self._idle.clear()
        self._coming.clear()
        session.close()

    def _hire(self) -> None:
        hand = hire(Hand)
        self._coming[hand.greet.remote()] = hand

    def _welcome(self, ref: Any) -> bool:
        """An actor has greeted, or has come to the end of a job that nobody waits for; False if it is lost."""
        hand = self._coming.pop(ref)
        try:
            said = ray.get(ref)
        except RayTaskError:
            said = None
        except RayError as error:
            logger.warning("an actor did not start: %s", words_of(error))
            self._hire()
            return False
        if isinstance(said, tuple) and said[0] != __version__:
            ray.kill(hand)
            raise RefusedError(
                f"machine {said[1]} of the cluster has genba {said[0]}, this one {__version__}: install the same"
            )
        self._idle.append(hand)
        return True


def _split(jobs: Sequence[Any]) -> tuple[type | None, dict[str, Any], list[Any]]:
    """What all jobs share, which is sent once, and what is each one's own.

    Returns:
        Class of the jobs, or None where they cannot be taken apart, fields with the very same value in all, and by job
        the other fields; the jobs themselves where they cannot be taken apart.
    """
    if not jobs or not is_dataclass(jobs[0]) or len({type(job) for job in jobs}) > 1:
        return None, {}, list(jobs)
    names = [field.name for field in fields(jobs[0])]
    common = {name for name in names if all(getattr(job, name) is getattr(jobs[0], name) for job in jobs)}
    own = [{name: getattr(job, name) for name in names if name not in common} for job in jobs]
    return type(jobs[0]), {name: getattr(jobs[0], name) for name in names if name in common}, own

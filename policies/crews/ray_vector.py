"""Cells in the actors of a Ray cluster as one vector environment: `CellVecEnv`, whose chunks are far away.

They are built by a call through Ray, and asked over a connection of their own (`ray_called.py`). An actor that is
lost is replaced: the episodes of its cells are discarded, which the learner sees as truncated, and others begin.
"""

import logging
from collections.abc import Mapping

# What multiprocessing itself sends between the processes of one program; nothing here reads a file.
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
from gymnasium.envs.registration import EnvSpec

from ...envs.vector.cells import Block, Info, Packer, Space, row
from ...envs.vector.errors import raised
from ...envs.vector.vec_env import CellVecEnv
from .crew import CrewError
from .ray_actors import PATIENCE_S, TRIES
from .ray_called import LOST, Called
from .ray_session import words_of

logger = logging.getLogger(__name__)

SEEN = "observation "  # how the fields of a block that are observations begin


class FarChunk:
    """Cells in an actor, asked like those of a worker."""

    def __init__(self, count: int) -> None:
        """There will be so many cells."""
        self.count = count
        self._block: Block = np.zeros(0, [("done", np.bool_)])
        self._pack = Packer()
        self._built: tuple[Any, ...] = ()
        self._changes: list[tuple[Any, ...]] = []  # attributes set since
        self._seeds: list[int | None] = [None] * count
        self._losses = 0
        self._due: tuple[Any, Block] | None = None  # what the next step says instead of stepping
        self._actor = Called()

    def attach(self, block: Block) -> None:
        """Keep these rows as the actor's are."""
        self._block = block

    def ask(self, name: str, *args: Any) -> None:
        """Ask for something; `answer` waits for it."""
        if name == "step" and not args:
            args = (self._block["action"],)
        elif name == "build":
            self._built = args
        elif name == "put":
            self._changes.append(args)
        elif name == "reset":
            self._due = None
            self._seeds = [old if new is None else new for new, old in zip(args[0], self._seeds, strict=True)]
        self._asked = name, args
        self._waits = name != "step" or self._due is None
        if self._waits:
            self._send(name, args)

    def answer(self) -> Any:
        """Wait for what was asked.

        Raises:
            CrewError: If nobody takes a lost actor's place.
        """
        name, args = self._asked
        if self._waits:
            try:
                said, rows = self._receive(PATIENCE_S if name == "build" else None)
            except LOST as error:
                logger.warning("%d cells are lost, their episodes are discarded: %s", self.count, words_of(error))
                said, rows = self._replace(name, args)
        if name == "step" and self._due:
            (said, rows), self._due = self._due, None
        if self._due is None and len(self._block):
            for field in rows.dtype.names or ():
                if field != "action":
                    self._block[field] = rows[field]
        return said

    def leave(self) -> None:
        """End the actor."""
        self._actor.end()

    def close(self) -> None:
        """Nothing is left after `leave`."""

    def _send(self, name: str, args: tuple[Any, ...]) -> None:
        self._actor.send(self._pack((name, args)))

    def _receive(self, patience: float | None = PATIENCE_S) -> tuple[Any, Block]:
        wrong, said, rows = ForkingPickler.loads(self._actor.receive(patience))
        if wrong:
            raise raised(said, "an actor")
        return said, np.frombuffer(rows, self._block.dtype) if len(self._block) else self._block

    def _done(self, name: str, *args: Any) -> tuple[Any, Block]:
        self._send(name, args)
        return self._receive()

    def _replace(self, name: str, args: tuple[Any, ...]) -> tuple[Any, Block]:
        """Let a new actor take over, and answer for it; new episodes make the next step a truncation."""
        for _ in range(TRIES):
            self._losses += 1
            self._actor = self._actor.successor()
            try:
                answer = self._done("build", *self._built)
                for change in self._changes:
                    self._done("put", *change)
                if name == "build":
                    return answer
                if name != "reset":
                    infos, rows = self._done("reset", self._other_seeds(), [{}] * self.count)
                    self._due = self._truncated(infos, rows)
                if name != "step":
                    answer = self._done(name, *args)
            except LOST as error:
                logger.warning("another is lost: %s", words_of(error))
                continue
            return answer
        raise CrewError(f"{TRIES} actors in a row are lost; look into the logs of the cluster")

    def _other_seeds(self) -> list[int | None]:
        """Seeds of the episodes in place of those that are lost: not those again, lest they count twice."""
        return [
            None if seed is None else int(np.random.SeedSequence((seed, self._losses)).generate_state(1)[0])
            for seed in self._seeds
        ]

    def _truncated(self, infos: list[Info], first: Block) -> tuple[tuple[list[Info], dict[int, Info]], Block]:
        """A step in which every episode is cut off where it was last seen, and the next one begins."""
        names = [field for field in self._block.dtype.names or () if field.startswith(SEEN)]
        last: list[Any] = [{n.removeprefix(SEEN): self._block[n][k].copy() for n in names} for k in range(self.count)]
        if names == [f"{SEEN}{None}"]:
            last = [seen["None"] for seen in last]
        rows = first.copy()
        rows["reward"], rows["done"] = 0.0, True
        cut = [{"TimeLimit.truncated": True, "terminal_observation": seen, "lost": True} for seen in last]
        return (cut, dict(enumerate(infos))), rows


class RayVecEnv(CellVecEnv):
    """Cells side by side in actors; with the same seeds it gives what `CellVecEnv` gives, to the bit."""

    def __init__(
        self, env_id: str, n: int, actors: int, *, seed: int | None = None, options: Mapping[str, Any]
    ) -> None:
        """Start actors and build cells; this process has joined a cluster, see `RaySession`.

        Args:
            env_id: As for `genba.envs.make_vec`.
            n: How many cells.
            actors: How many actors share them; at least one, at most n.
            seed: Cell k starts its first episode with seed + k; at random if not given.
            options: As for `genba.envs.make_vec`.
        """
        super().__init__(env_id, n, actors, seed=seed, options=options)

    def _open(
        self, spec: EnvSpec, n: int, workers: int, options: Mapping[str, Any]
    ) -> tuple[Block, tuple[Space, Space, dict[str, Any]]]:
        """Build all cells; actors do it at the same time."""
        chunks = [FarChunk(n // workers + (k < n % workers)) for k in range(workers)]
        self._crews.extend(chunks)
        built = self._all("build", lambda first, last: (spec, options, last - first))[0]
        block = np.zeros(n, row(*built[:2]))
        first = 0
        for chunk in chunks:
            chunk.attach(block[first : first + chunk.count])
            first += chunk.count
        return block, built

"""Improvement: off-policy reinforcement learning from the warm start, which must earn shorter cycles.

SB3's SAC networks, trained as RLPD does (Ball et al. 2023): half of every batch from demonstrations, half from
the learner's own episodes, hindsight goals in both. The actor is held until the critic knows the warm start;
after that it moves toward those actions in the batch that turned out better than the critic expects of the actor
itself, weighted by the exponential of that advantage (AWAC, Nair et al. 2020). Climbing the critic's own gradient
does not work at 30 Hz: one action of 33 ms is worth a fifth of a tick, the critic errs by several.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch as th
from numpy.typing import NDArray
from stable_baselines3 import SAC

from .recipe import ImprovementRecipe
from .replay import Batch, Replay

Array = NDArray[np.float32]


class Improvement:
    """Updates of one SAC model's critic and actor."""

    def __init__(
        self,
        model: SAC,
        recipe: ImprovementRecipe,
        *,
        split: int,
        demonstrations: Replay,
        episodes: Replay,
        labels: tuple[th.Tensor, th.Tensor],
        seed: int,
    ) -> None:
        """Connect model and data.

        Args:
            model: SAC whose actor is the warm start.
            recipe: How much of what.
            split: Length of the observation within x.
            demonstrations: Episodes by the expert.
            episodes: Episodes by the learner.
            labels: x and expert action of every state that was labelled.
            seed: Of the batches.
        """
        self.model = model
        self.recipe = recipe
        self._split = split
        self._demonstrations = demonstrations
        self._episodes = episodes
        self._labels = labels
        self._rng = np.random.default_rng(seed)
        policy = model.policy
        self._actor_parameters = [*policy.actor.latent_pi.parameters(), *policy.actor.mu.parameters()]
        self._critic_optimiser = th.optim.Adam(policy.critic.parameters(), lr=recipe.learning_rate, fused=True)
        self._actor_optimiser = th.optim.Adam(self._actor_parameters, lr=recipe.actor_rate, fused=True)
        self._lowest = -1.0 / (1.0 - recipe.gamma)
        self._done = 0

    def state(self) -> dict[str, Any]:
        """Tensors and plain values that `load_state` needs, beside the model's own weights."""
        generator = self._rng.bit_generator.state
        return {
            "critic_optimiser": self._critic_optimiser.state_dict(),
            "actor_optimiser": self._actor_optimiser.state_dict(),
            "rng": {**generator, "state": {k: str(v) for k, v in generator["state"].items()}},
            "torch_rng": th.get_rng_state(),
            "done": self._done,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where a checkpoint was taken."""
        self._critic_optimiser.load_state_dict(state["critic_optimiser"])
        self._actor_optimiser.load_state_dict(state["actor_optimiser"])
        generator = state["rng"]
        self._rng.bit_generator.state = {**generator, "state": {k: int(v) for k, v in generator["state"].items()}}
        th.set_rng_state(state["torch_rng"])
        self._done = state["done"]

    def _features(self, x: th.Tensor) -> th.Tensor:
        obs = {"observation": x[:, : self._split], "desired_goal": x[:, self._split :]}
        with th.no_grad():
            return self.model.policy.actor.features_extractor(obs)  # type: ignore[no-any-return]

    def _act(self, features: th.Tensor) -> th.Tensor:
        actor = self.model.policy.actor
        return th.tanh(actor.mu(actor.latent_pi(features)))

    def update(self, count: int, on_update: Callable[[dict[str, float]], None] | None = None) -> None:
        """Take gradient steps.

        Args:
            count: How many.
            on_update: Called every 100 steps with mean values.
        """
        recipe, policy = self.recipe, self.model.policy
        critic, target = policy.critic, policy.critic_target
        sums: dict[str, float] = {}
        for step in range(count):
            batch = self._draw()
            now, after = self._features(th.as_tensor(batch.x)), self._features(th.as_tensor(batch.next_x))
            action = th.as_tensor(batch.action)
            with th.no_grad():
                best = self._act(after)
                best = (best + 0.05 * th.randn_like(best)).clamp(-1.0, 1.0)
                joined = th.cat((after, best), dim=1)
                value = th.min(*[q(joined) for q in target.q_networks])[:, 0]
                wanted = th.as_tensor(batch.reward) + th.as_tensor(batch.discount) * value.clamp(self._lowest, 0.0)
            joined = th.cat((now, action), dim=1)
            losses = [th.nn.functional.mse_loss(q(joined)[:, 0], wanted) for q in critic.q_networks]
            critic_loss = th.stack(losses).sum()
            self._critic_optimiser.zero_grad(set_to_none=True)
            critic_loss.backward()  # type: ignore[no-untyped-call]
            self._critic_optimiser.step()
            sums["critic_loss"] = sums.get("critic_loss", 0.0) + critic_loss.item()
            sums["value"] = sums.get("value", 0.0) + float(wanted.mean())
            if self._done >= recipe.critic_updates and step % 2 == 0:
                self._move_actor(now, action, wanted, sums)
            with th.no_grad():
                for a, b in zip(target.parameters(), critic.parameters(), strict=True):
                    a.lerp_(b, recipe.tau)
            self._done += 1
            if step % 100 == 99 and on_update:
                on_update({k: v / 100 for k, v in sums.items()})
                sums = {}

    def _move_actor(self, now: th.Tensor, action: th.Tensor, wanted: th.Tensor, sums: dict[str, float]) -> None:
        """Follow the actions that turned out better than the critic expects of the actor itself."""
        recipe, critic = self.recipe, self.model.policy.critic
        own = self._act(now)
        with th.no_grad():
            joined = th.cat((now, own), dim=1)
            value = th.min(*[q(joined) for q in critic.q_networks])[:, 0]
            advantage = wanted - value
            weight = (advantage / (recipe.temperature * advantage.std())).clamp(max=2.0).exp()
        distance = (own - action).square().mean(dim=1)
        loss = (weight * distance).mean() / weight.mean()
        x, label = self._labels
        rows = self._rng.integers(len(x), size=recipe.batch)
        loss = loss + recipe.anchor * (self._act(self._features(x[rows])) - label[rows]).square().mean()
        self._actor_optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._actor_optimiser.step()
        sums["actor_loss"] = sums.get("actor_loss", 0.0) + 2.0 * loss.item()
        sums["advantage"] = sums.get("advantage", 0.0) + 2.0 * float(advantage.std())

    def _draw(self) -> Batch:
        half = self.recipe.batch // 2
        a = self._demonstrations.sample(half, self._rng)
        b = self._episodes.sample(half, self._rng)
        return Batch(
            x=np.concatenate([a.x, b.x]),
            action=np.concatenate([a.action, b.action]),
            next_x=np.concatenate([a.next_x, b.next_x]),
            reward=np.concatenate([a.reward, b.reward]),
            discount=np.concatenate([a.discount, b.discount]),
        )

"""The Gymnasium face: any task with any arm as one goal-conditioned environment."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.utils import EzPickle

from ..robots.catalogue import load_robot
from ..robots.controller import make_controller
from ..robots.envelope import SafetyEnvelope
from ..robots.errors import RefusedError
from ..robots.kinematics import Kinematics
from ..robots.observation import Field, Observation
from ..robots.state import Vector
from ..robots.station import Station
from .arm.realism import Realism
from .arm.sim_arm import SimArm
from .bullet import window_possible
from .cell import Cell
from .options import joints_option
from .outlook import Outlook
from .randomize import OFF, Draw, Randomization, preset
from .senses import JobSense, PoseSense, TruthSense
from .tasks import load_task
from .view import Camera
from .witness import Witness

RENDER_MODES = ("human", "rgb_array")
START_SPREAD = 0.03  # rad by which each joint may start away from home


class CellEnv(gym.Env[Observation, npt.NDArray[np.float32]], EzPickle):
    """One cell, one arm, one task.

    Observations are dicts of float32 vectors `observation`, `achieved_goal` and `desired_goal`; actions are
    float32 in [-1, 1]. An episode ends with success (unless `terminate_on_success` is off) or at the horizon,
    which the environment counts itself, because it follows from the task's time limit and the control rate.
    A pickled environment comes back as a new cell built the same way.
    """

    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES), "render_fps": 30}

    def __init__(
        self,
        task: str,
        robot: str = "so101",
        *,
        tolerance: str | None = None,
        level: str | None = None,
        obs: str = "state",
        depth: bool = False,
        camera_backend: str = "auto",
        reward: str = "sparse",
        control: str = "ee_delta",
        render_mode: str | None = None,
        noise: bool = True,
        randomize: str | Randomization = "off",
        realism: Realism | None = None,
        control_rate_hz: int | None = None,
        physics_rate_hz: int = 240,
        terminate_on_success: bool = True,
    ) -> None:
        """Build the cell.

        Args:
            task: Task name, such as `PickPlace`.
            robot: Robot name.
            tolerance: "servo", "lab" or "industrial"; the arm's own class if not given.
            level: Degree of difficulty, where the task has several; what the arm is judged by if not given.
            obs: "state", "rgb" (pictures, and of the rest only what the arm and the cell's controller tell without
                giving away what is to be seen) or "state+rgb".
            depth: Whether every camera gives a depth picture as well.
            camera_backend: "cpu", "gl", or "auto".
            reward: "sparse" (-1 until all conditions hold, then 0) or "dense" (minus what is still to be done).
            control: "ee_delta", "joint_delta" or "joint_position".
            render_mode: None, "human" or "rgb_array".
            noise: Sense noise and delay as the task declares them.
            randomize: What differs between episodes: "off", "nominal", "wide" or ranges of one's own.
            realism: Imperfections of the arm; all of them if not given.
            control_rate_hz: Ticks per second; the arm's own rate if not given. It must divide the physics rate.
            physics_rate_hz: Substeps per second.
            terminate_on_success: Whether success ends an episode.

        Raises:
            RefusedError: If a name or number is not offered; the text lists what is.
        """
        EzPickle.__init__(
            self,
            task,
            robot,
            tolerance=tolerance,
            level=level,
            obs=obs,
            depth=depth,
            camera_backend=camera_backend,
            reward=reward,
            control=control,
            render_mode=render_mode,
            noise=noise,
            randomize=randomize,
            realism=realism,
            control_rate_hz=control_rate_hz,
            physics_rate_hz=physics_rate_hz,
            terminate_on_success=terminate_on_success,
        )
        if reward not in ("sparse", "dense"):
            raise RefusedError(f"no reward named {reward!r}; there are: sparse, dense")
        if render_mode is not None and render_mode not in RENDER_MODES:
            raise RefusedError(f"no render mode named {render_mode!r}; there are: {', '.join(RENDER_MODES)}")
        self.robot = load_robot(robot)
        rate = control_rate_hz or self.robot.control_rate_hz
        if rate <= 0 or physics_rate_hz <= 0 or physics_rate_hz % rate:
            raise RefusedError(f"control rate {rate} Hz does not divide the physics rate {physics_rate_hz} Hz")
        self.task = load_task(task)(self.robot, tolerance or self.robot.tolerance, level)
        self.task_name = type(self.task).__name__
        self._level = self.task.level
        self.control_rate_hz = rate
        self.control = control
        self.dt = 1.0 / rate
        self.task.dt = self.dt
        self.horizon = round(self.task.horizon_s * rate)
        self.render_mode = render_mode
        offered = [mode for mode in RENDER_MODES if mode != "human" or window_possible()]
        self.metadata = {"render_modes": offered, "render_fps": rate}
        self._dense = reward == "dense"
        self._terminates = terminate_on_success
        self._hold_ticks = round(self.task.success.hold_s * rate)
        kinematics = Kinematics(self.robot)
        controller = make_controller(control, self.robot, gripper=self.task.gripper)
        self.ranges = preset(randomize, self.task.randomization)
        self.cell = Cell(
            self.robot, physics_rate_hz=physics_rate_hz, human=render_mode == "human", sizes=self.ranges.sizes
        )
        self.task.build(self.cell)
        self.arm = SimArm(self.cell, realism=realism)
        self.spec_ = self.task.spec()
        fields = self.task.sensed_fields()
        measured = tuple(f for f in fields if f.source == "parts")
        self._parts = PoseSense(measured, self.task.symmetry, self.task.noise if noise else None)
        self.witness = Witness(self.task, self.cell, self.arm, kinematics, lambda: self.station.pose)
        job = JobSense(tuple(f for f in fields if f.source == "job"), self.witness.sensed)
        self.station = Station(
            arm=self.arm,
            kinematics=kinematics,
            controller=controller,
            envelope=SafetyEnvelope(self.robot, kinematics),
            spec=self.spec_,
            dt=self.dt,
            senses=(
                self.witness,
                self._parts,
                job,
                TruthSense("truth", self.spec_.achieved_goal, self.witness.achieved),
                TruthSense("goal", self.spec_.desired_goal, lambda: self.task.desired),
            ),
        )
        self._camera = Camera.overview(self.robot)
        self.draw: Draw | None = None
        self._held = 0
        self._step = 0
        self._saved: dict[int, tuple[object, ...]] = {}
        self.action_space = spaces.Box(-1.0, 1.0, (controller.action_size,), np.float32)
        self._outlook = Outlook(obs, self.cell, self.arm, self.task, self.spec_, depth=depth, backend=camera_backend)
        self.observation_space = self._outlook.space  # type: ignore[assignment]

    @property
    def level(self) -> str:
        """Degree of difficulty of episodes that name none; empty where the task has only one."""
        return self.task.levels[self._level] if self.task.levels else ""

    @property
    def seen(self) -> tuple[Field, ...]:
        """Fields of the packed observation as it is given out; in "rgb" without those that pictures stand for."""
        return self._outlook.fields

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode; the same seed and options give the same episode, whatever ran before.

        Args:
            seed: Seeds everything random from here on.
            options: `goal` (x, y, z in m, yaw in rad), `joint_positions` (rad), and what the task adds, such as
                `part_pose`.

        Raises:
            RefusedError: If an option is unknown, not finite or out of reach.
        """
        super().reset(seed=seed)
        options = options or {}
        allowed = (*self.task.option_names, "level") if self.task.levels else self.task.option_names
        unknown = sorted(set(options) - set(allowed))
        if unknown:
            raise RefusedError(f"unknown reset option {unknown[0]!r}; there are: {', '.join(allowed)}")
        self.task.level = self.task.level_index(options["level"]) if "level" in options else self._level
        rng = self.np_random
        start = self._start(rng, options)
        self.cell.begin_reset()
        self._apply(self._draw(rng))
        self.task.place(self.cell, rng, options)
        self.arm.reset(start, self.robot.gripper.home)
        draw = self.draw or Draw()
        self._parts.reset(
            rng,
            self.witness.sensed,
            bias_factor=draw.sense_bias,
            noise_factor=draw.sense_noise,
        )
        self._held = self._step = 0
        observation = self.station.start()
        self._full = observation
        self._outlook.reset(self.draw)
        if self.render_mode == "human":
            self.render()
        achieved, desired = observation["achieved_goal"].tolist(), observation["desired_goal"].tolist()
        info = self._info(achieved, desired, met=False)
        info["randomization"] = self.draw.to_info() if self.draw else {}
        return self._outlook.see(observation), info

    def _draw(self, rng: np.random.Generator) -> Draw | None:
        """Draw what differs in this episode, from a generator of its own, so that layouts stay what they are."""
        if self.ranges == OFF:
            return None
        own = np.random.default_rng(int(rng.integers(2**63)))
        return self.ranges.draw(
            own,
            joints=len(self.robot.actuator_names),
            parts=len(self.cell.parts),
            cameras=len(self.task.cameras),
            horizon=self.horizon,
        )

    def _apply(self, draw: Draw | None) -> None:
        """Make cell and arm as drawn."""
        if draw is not self.draw:
            self.draw = draw
            self.cell.vary(draw)
            self.arm.randomize(draw)

    def _start(self, rng: np.random.Generator, options: Mapping[str, Any]) -> Vector:
        joints = self.robot.joints
        if "joint_positions" not in options:
            offsets = rng.uniform(-START_SPREAD, START_SPREAD, len(joints)).tolist()
            return tuple([min(max(j.home + o, j.lower), j.upper) for j, o in zip(joints, offsets, strict=True)])
        return joints_option(options, self.robot)

    def step(self, action: npt.NDArray[np.float32]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Run one tick.

        Args:
            action: float32 in [-1, 1]; larger values are clipped.

        Raises:
            RefusedError: If the action is not finite or has the wrong shape; nothing has moved then.
        """
        observation = self.station.tick(action)
        self._full = observation
        self._step += 1
        achieved, desired = observation["achieved_goal"].tolist(), observation["desired_goal"].tolist()
        success = self.task.success
        met = success.met(achieved, desired)
        self._held = self._held + 1 if met else 0
        reward = success.reward(achieved, desired, dense=True) if self._dense else 0.0 if met else -1.0
        done = self._held >= self._hold_ticks
        info = self._info(achieved, desired, met=met)
        if self.render_mode == "human":
            self.render()
        return self._outlook.see(observation), reward, done and self._terminates, self._step >= self.horizon, info

    def _info(self, achieved: list[float], desired: list[float], *, met: bool) -> dict[str, Any]:
        terms = self.task.success.terms(achieved, desired)
        held = self._held * self.dt
        terms["held_s"] = {"value": held, "limit": self.task.success.hold_s, "ok": self._held >= self._hold_ticks}
        return {"is_success": self._held >= self._hold_ticks, "success_terms": terms, "met": met}

    def compute_reward(
        self,
        achieved_goal: npt.NDArray[np.float32],
        desired_goal: npt.NDArray[np.float32],
        info: object = None,
    ) -> Any:
        """Reward of goal vectors alone, for one pair or a batch; equal to the bit to what `step` returned.

        Args:
            achieved_goal: (..., 10), or more where the task has further criteria.
            desired_goal: Likewise.
            info: Ignored; all that counts stands in the goal vectors.
        """
        rewards = self.task.success.reward_batch(achieved_goal, desired_goal, dense=self._dense)
        return float(rewards) if rewards.ndim == 0 else rewards

    def render(self) -> npt.NDArray[np.uint8] | None:
        """A picture of the cell, (height, width, 3) uint8, in mode "rgb_array"; no display and no GL needed."""
        if self.render_mode == "rgb_array":
            return self._camera.picture(self.cell, 480, 360)
        return None

    def expert_action(self, observation: Observation) -> npt.NDArray[np.float32]:
        """What the scripted expert would do now.

        Args:
            observation: What the environment gave last. Where that is pictures the expert acts on the state behind
                them, which it could not read out of pixels.
        """
        if self._outlook.pictures:
            observation = self._full
        batch = {g: observation[g][None] for g in ("observation", "desired_goal")}
        actions = type(self.task).expert(self.robot, self.fields(batch))
        chosen: npt.NDArray[np.float32] = actions[0].astype(np.float32)
        return chosen

    def see(self, state: Observation) -> Observation:
        """What is given out of a state: itself, pictures of the cell as it is now, or both, as `obs` says."""
        return self._outlook.see(state)

    def behind(self) -> Observation:
        """The whole state behind the present pictures, where they show it without error; for labels, not for acting."""
        return self.spec_.pack({**self.station.values, **self.task.shown(self.cell)})

    def fields(self, batch: Mapping[str, npt.NDArray[np.floating]]) -> dict[str, npt.NDArray[np.float64]]:
        """Cut batched observation and goal vectors into named float64 fields."""
        found: dict[str, npt.NDArray[np.float64]] = {}
        for group in ("observation", "desired_goal"):
            array = np.asarray(batch[group], np.float64)
            found.update({name: array[:, cut] for name, cut in self.spec_.slices(group).items()})
        return found

    def save_state(self) -> int:
        """Keep the whole episode in memory: physics, motors, buffers, generator, counters.

        Bullet does not give back every contact point of links made of several boxes, so a moment in the middle of a
        grasp is not quite the moment that is restored. The episode therefore goes on from the restored one: what
        follows this call is to the bit what follows each `restore_state`.

        Returns:
            An id for `restore_state` and `remove_state`.
        """
        state = self.cell.save()
        station = self.station
        self._saved[state] = (
            self.arm.snapshot(),
            station.envelope.snapshot(),
            (station.state, station.pose, station.admitted, station.target, dict(station.values)),
            self._parts.snapshot(),
            deepcopy(self.np_random.bit_generator.state),
            self.task.desired,
            (self._held, self._step, self._full),
            (deepcopy(self.task.memory), self.task.level, self.draw),
        )
        self.restore_state(state)
        return state

    def restore_state(self, state_id: int) -> None:
        """Go back to a saved moment, bit for bit.

        Raises:
            RefusedError: If there is no such state.
        """
        if state_id not in self._saved:
            known = ", ".join(map(str, self._saved)) or "none"
            raise RefusedError(f"no saved state {state_id}; there are: {known}")
        arm, envelope, station, parts, rng, desired, counts, memory = self._saved[state_id]
        self.cell.begin_reset()
        self._apply(memory[2])  # type: ignore[index]
        self.cell.restore(state_id)
        self.arm.restore(arm)  # type: ignore[arg-type]
        self.station.envelope.restore(envelope)  # type: ignore[arg-type]
        s = self.station
        s.state, s.pose, s.admitted, s.target, s.values = station  # type: ignore[misc]
        self._parts.restore(parts)  # type: ignore[arg-type]
        self.np_random.bit_generator.state = rng  # type: ignore[assignment]
        self.task.desired = desired  # type: ignore[assignment]
        self._held, self._step, self._full = counts  # type: ignore[misc]
        self._outlook.reset(self.draw)
        self.task.memory, self.task.level, _ = deepcopy(memory)  # type: ignore[misc]

    def remove_state(self, state_id: int) -> None:
        """Free a saved moment."""
        if self._saved.pop(state_id, None) is not None:
            self.cell.forget(state_id)

    def close(self) -> None:
        """Close the cell; may be called twice."""
        self.cell.close()

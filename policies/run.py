"""Run a policy on an arm: simulated, virtual or real, it is the same loop.

    refuse what does not fit -> verify the reference actions -> per episode: home, reset senses, tick until success,
    time limit or stop -> home -> confirmed stop -> report

Whatever ends a run, the arm is stopped first and the report says what was done until then.
"""

import dataclasses
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..robots.arm import Arm
from ..robots.controller import make_controller
from ..robots.description import RobotDescription
from ..robots.envelope import SafetyEnvelope
from ..robots.errors import BusError, GenbaError, RefusedError, SafetyError
from ..robots.kinematics import Kinematics
from ..robots.recorder import Recorder
from ..robots.station import Sense, Station
from .bundle import PolicyBundle
from .judge import Judge, RangeWatch
from .result import FAILED, INTERRUPTED, OK, UNSAFE, Episode, RunReport
from .sources import Resettable, find_sources
from .statistics import success_rate

logger = logging.getLogger(__name__)

HOME_TIMEOUT_S = 20.0
STOP_TRIES = 5  # stops begun anew because somebody pressed Ctrl-C during them
SETTLE_S = 0.3  # pause at home, in which senses bring values of the new episode
ARRIVED = 2e-3  # rad between the admitted command and home
STILL = 0.05  # rad/s of the fastest joint that counts as standing


class Stop(Protocol):
    """How a stop ended."""

    @property
    def confirmed(self) -> bool:
        """Whether standstill was read back."""

    @property
    def lost(self) -> str:
        """Why nobody could be told to stop; empty where the arm was there."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Unheard:
    """A stop that came to nothing."""

    confirmed: bool = False
    lost: str = ""


@runtime_checkable
class Stoppable(Protocol):
    """An arm that can be told to stop and confirms it by what it measures."""

    def stop(self) -> Stop:
        """Stop and hold where the arm is."""


class Pacer(Protocol):
    """Keeps a rate on the wall clock and knows how well."""

    def rebase(self) -> None:
        """Forget the deadline: the next tick does not follow from the last."""

    def report(self) -> Any:
        """A dataclass of numbers."""


class Looking(Protocol):
    """What a policy with eyes looks through."""

    def look(self) -> Mapping[str, NDArray[np.uint8]]:
        """The newest picture of every camera, `<name>_rgb`; raises where one has stopped."""


@runtime_checkable
class Paced(Protocol):
    """An arm that runs on the wall clock."""

    pacer: Pacer


class PolicyRun:
    """One policy on one arm, from the checks to the report."""

    def __init__(
        self,
        bundle: PolicyBundle,
        arm: Arm,
        *,
        senses: Sequence[Sense] = (),
        cameras: Looking | None = None,
        recorder: Recorder | None = None,
        max_steps: int | None = None,
        seed: int = 0,
    ) -> None:
        """Check that this policy may move this arm; nothing moves yet.

        Args:
            bundle: The policy.
            arm: The arm.
            senses: What measures beside it.
            cameras: What a policy with eyes looks through.
            recorder: Where the ticks of the episodes go, if anywhere.
            max_steps: Ticks per episode; as in training if not given.
            seed: Episode k gives `seed + k` to senses that lay out the world.

        Raises:
            RefusedError: If the arm, a field, the reference actions or the action's length do not fit.
        """
        manifest = bundle.manifest
        robot: RobotDescription = arm.robot
        bundle.check_robot(robot)
        if manifest.eyes is not None and cameras is None:
            names = " and ".join(view.name for view in manifest.eyes.views)
            raise RefusedError(
                f"{bundle.name}: looks through the cameras {names}, and nothing gives their pictures here; "
                "add --camera NAME=DEVICE for each"
            )
        if manifest.eyes is None and cameras is not None:
            raise RefusedError(f"{bundle.name}: has no eyes, a camera does nothing for it; leave it out")
        self._cameras = cameras
        self.reference_error = bundle.verify()
        self.bundle = bundle
        self.arm = arm
        self._dt = 1.0 / manifest.control.rate_hz
        self._controller = make_controller(manifest.control.mode, robot, gripper=manifest.control.gripper)
        if self._controller.action_size != manifest.network.sizes[-1]:
            raise RefusedError(
                f"{bundle.name}: network gives {manifest.network.sizes[-1]} values, control {manifest.control.mode!r} "
                f"of {robot.name} needs {self._controller.action_size}"
            )
        self._sources = find_sources(bundle, senses)
        kinematics = Kinematics(robot)
        self.station = Station(
            arm=arm,
            kinematics=kinematics,
            controller=self._controller,
            envelope=SafetyEnvelope(robot, kinematics),
            spec=self._sources.spec,
            dt=self._dt,
            senses=self._sources.senses,
        )
        self._given = tuple(senses)
        self._recorder = recorder
        self._max_steps = max_steps or manifest.task.max_steps
        self._seed = seed
        self._judge = Judge(manifest.success, manifest.spec, self._sources, self.station)
        self._watch = RangeWatch(manifest.ranges, manifest.spec, self._dt)
        self._homing = make_controller("joint_position", robot, gripper=True)
        self._home_action = _home_action(robot)
        self._times: list[float] = []
        self._reasons: Counter[str] = Counter()
        self._intervened = 0
        self._episodes: list[Episode] = []

    def run(self, episodes: int = 1, *, on_episode: Callable[[Episode], None] | None = None) -> RunReport:
        """Do the episodes; on Ctrl-C or a fault the arm is stopped and the report is returned all the same.

        Args:
            episodes: How many.
            on_episode: Called after each.
        """
        stopped, exit_code = "", OK
        try:
            self.station.start()
            for index in range(episodes):
                self.home()
                row = self._episode(index)
                self._episodes.append(row)
                if on_episode is not None:
                    on_episode(row)
            self.home()
        except KeyboardInterrupt:
            stopped, exit_code = "interrupted by the operator", INTERRUPTED
        except GenbaError as error:
            stopped, exit_code = str(error), error.exit_code
        except BaseException:
            self._stop()
            raise
        stop = self._stop()
        confirmed = None if stop is None else stop.confirmed
        if stop is not None and stop.lost and exit_code in (OK, INTERRUPTED):
            stopped, exit_code = f"{stopped}; {stop.lost}".removeprefix("; "), BusError.exit_code
        if confirmed is False:
            stopped = f"{stopped}; the arm did not confirm its stop: cut its power".removeprefix("; ")
            exit_code = UNSAFE if exit_code in (OK, INTERRUPTED) else exit_code
        if exit_code == OK and any(row.success is False for row in self._episodes):
            exit_code = FAILED
        return self._report(stopped, confirmed, exit_code)

    def home(self) -> None:
        """Move to the home position through the same envelope, and wait there until the arm stands still.

        Raises:
            SafetyError: If the arm does not get there.
        """
        station = self.station
        robot = self.arm.robot
        station.controller, station.recorder = self._homing, None
        try:
            still = 0
            for _ in range(int(HOME_TIMEOUT_S / self._dt)):
                station.tick(self._home_action)
                gap = max(abs(a - h) for a, h in zip(station.admitted.joint_positions, robot.home, strict=True))
                speed = max(abs(v) for v in station.state.joint_velocities)
                still = still + 1 if gap < ARRIVED and speed < STILL else 0
                if still * self._dt >= SETTLE_S:
                    return
        finally:
            station.controller, station.recorder = self._controller, self._recorder
        raise SafetyError(
            f"the arm did not come to rest at home within {HOME_TIMEOUT_S:.0f} s "
            f"({gap:.3f} rad away, {speed:.2f} rad/s); see whether something holds it"
        )

    def _episode(self, index: int) -> Episode:
        seed = self._seed + index
        if self._sources.taught is not None:
            self._sources.taught.choose(index)
        for sense in self._given:
            if isinstance(sense, Resettable):
                sense.reset(seed)
        if isinstance(self.arm, Paced):
            self.arm.pacer.rebase()
        station, act = self.station, self.bundle.act
        self._judge.start()
        self._watch.start()
        observation = station.observe()
        began = station.state.stamp
        first = len(self._times)
        success = False
        for _ in range(self._max_steps):
            field = self._watch.tick(observation)
            if field:
                logger.warning("%s is outside the range of the training", field)
            seen: dict[str, NDArray[Any]] = dict(observation)
            if self._cameras is not None:
                seen.update(self._cameras.look())
            start = time.perf_counter_ns()
            action = act(seen)
            self._times.append((time.perf_counter_ns() - start) * 1e-3)
            observation = station.tick(action)
            reasons = set(station.admitted.reasons)
            self._reasons.update(reasons)
            self._intervened += bool(reasons)
            success = self._judge.tick(station.values)
            if success:
                break
        times = self._times[first:]
        return Episode(
            index=index,
            seed=seed,
            success=success if self._judge.can else None,
            seconds=station.state.stamp - began,
            ticks=len(times),
            inference_us=float(np.median(times)),
            failed_terms=() if success else tuple(n for n, term in self._judge.terms.items() if not term.get("ok")),
        )

    def _stop(self) -> Stop | None:
        """Stop the arm if it can be told to; more presses of Ctrl-C do not keep it from being stopped."""
        if not isinstance(self.arm, Stoppable):
            return None
        for _ in range(STOP_TRIES):
            try:
                return self.arm.stop()
            except KeyboardInterrupt:
                continue
            except GenbaError as error:
                logger.error("stop failed: %s", error)  # noqa: TRY400 - one line for the operator
        return _Unheard()

    def _report(self, stopped: str, confirmed: bool | None, exit_code: int) -> RunReport:
        judged = [row for row in self._episodes if row.success is not None]
        rate = success_rate(sum(bool(row.success) for row in judged), len(judged))
        p50, p99 = np.percentile(self._times, (50, 99)) if self._times else (0.0, 0.0)
        return RunReport(
            policy=self.bundle.name,
            task=self.bundle.manifest.task.name,
            robot=self.arm.robot.name,
            senses=tuple(sense.name for sense in self._sources.senses),
            judged_by=self._judge.by,
            episodes=tuple(self._episodes),
            successes=rate.successes,
            success_low=rate.low,
            success_high=rate.high,
            ticks=len(self._times),
            interventions=dict(self._reasons),
            intervened=self._intervened,
            out_of_range=self._watch.ticks,
            inference_p50_us=float(p50),
            inference_p99_us=float(p99),
            pace=_pace(self.arm),
            reference_error=self.reference_error,
            stopped=stopped,
            stop_confirmed=confirmed,
            exit_code=exit_code,
        )


def run_bundle(
    bundle: PolicyBundle,
    arm: Arm,
    *,
    senses: Sequence[Sense] = (),
    cameras: Looking | None = None,
    episodes: int = 1,
    max_steps: int | None = None,
    recorder: Recorder | None = None,
    seed: int = 0,
    on_episode: Callable[[Episode], None] | None = None,
) -> RunReport:
    """Run a policy on an arm and report; see `PolicyRun`.

    Raises:
        RefusedError: If the policy does not fit this arm; nothing has moved then.
    """
    work = PolicyRun(bundle, arm, senses=senses, cameras=cameras, recorder=recorder, max_steps=max_steps, seed=seed)
    return work.run(episodes, on_episode=on_episode)


def _home_action(robot: RobotDescription) -> list[float]:
    """Home as an action of `joint_position`, gripper last."""
    g = robot.gripper
    action = [(2.0 * j.home - j.lower - j.upper) / (j.upper - j.lower) for j in robot.joints]
    return [*action, (2.0 * g.home - g.open - g.closed) / (g.open - g.closed)]


def _pace(arm: Arm) -> dict[str, float]:
    if not isinstance(arm, Paced):
        return {}
    return {key: float(value) for key, value in dataclasses.asdict(arm.pacer.report()).items()}

"""Cameras on the bench: the newest picture in the shape that was learnt, or an error on which the arm is held."""

import time
from threading import Event

import numpy as np
import pytest

from genba.drivers import cameras as module
from genba.drivers.cameras import Cameras, fitted
from genba.robots.errors import BusError, RefusedError


class Fake:
    """A device that gives frames until it is told to hang or to be pulled out."""

    def __init__(self, frame: np.ndarray) -> None:
        self.frame = frame
        self.pulled = False
        self.hung, self.go_on = False, Event()
        self.released = False

    def read(self) -> tuple[bool, np.ndarray | None]:
        if self.pulled:
            return False, None
        if self.hung:
            self.go_on.wait(10.0)
        return True, self.frame

    def release(self) -> None:
        self.released = True


def frame(height: int, width: int) -> np.ndarray:
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 0] = 200  # blue, as OpenCV orders them
    return picture


def test_the_middle_is_cut_shrunk_and_turned_to_rgb() -> None:
    wide = frame(48, 96)
    wide[:, :24] = wide[:, 72:] = 255  # beyond a square
    picture = fitted(wide, (12, 12))
    assert picture.shape == (12, 12, 3)
    assert (picture == (0, 0, 200)).all()


def test_a_picture_is_averaged_as_in_simulation() -> None:
    fine = np.zeros((8, 8, 3), np.uint8)
    fine[::2] = 200
    assert (fitted(fine, (4, 4)) == 100).all()


@pytest.mark.parametrize("wrong", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.uint16)])
def test_what_is_no_colour_picture_is_an_error(wrong: np.ndarray) -> None:
    with pytest.raises(BusError, match="expected colour"):
        fitted(wrong, (4, 4))


def test_all_cameras_give_their_newest_picture() -> None:
    devices = {"0": Fake(frame(20, 20)), "1": Fake(frame(30, 40))}
    with Cameras(
        {"front": "0", "wrist": "1"}, {"front": (10, 10), "wrist": (6, 8)}, opened=devices.__getitem__
    ) as eyes:
        seen = eyes.look()
        assert {name: picture.shape for name, picture in seen.items()} == {
            "front_rgb": (10, 10, 3),
            "wrist_rgb": (6, 8, 3),
        }
    assert all(device.released for device in devices.values())


@pytest.mark.parametrize(
    ("sources", "named"),
    [({}, "'front' is missing"), ({"front": "0", "side": "1"}, "no camera 'side'"), ({"side": "0"}, "front")],
)
def test_cameras_that_do_not_fit_the_policy_are_refused(sources: dict[str, str], named: str) -> None:
    with pytest.raises(RefusedError, match=named):
        Cameras(sources, {"front": (10, 10)}, opened=lambda source: Fake(frame(10, 10)))


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(RefusedError, match="cannot be opened"):
        Cameras({"front": "/dev/no-such-camera"}, {"front": (10, 10)})


def test_a_device_that_was_pulled_out_is_an_error() -> None:
    device = Fake(frame(10, 10))
    with Cameras({"front": "0"}, {"front": (10, 10)}, opened=lambda source: device) as eyes:
        device.pulled = True
        eyes._cameras[0]._thread.join()
        with pytest.raises(BusError, match="is gone"):
            eyes.look()


def test_an_old_picture_is_an_error() -> None:
    device = Fake(frame(10, 10))
    with Cameras({"front": "0"}, {"front": (10, 10)}, opened=lambda source: device) as eyes:
        with pytest.raises(BusError, match="no picture for"):
            eyes._cameras[0].picture(time.monotonic() + 2.0 * module.STALE_AFTER)
        assert BusError.exit_code == 4


def test_a_device_that_gives_nothing_is_closed_again() -> None:
    device = Fake(frame(10, 10))
    device.pulled = True
    with pytest.raises(BusError, match="gives no picture"):
        Cameras({"front": "0"}, {"front": (10, 10)}, opened=lambda source: device)
    assert device.released

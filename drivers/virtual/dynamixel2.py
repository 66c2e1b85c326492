"""The twin of a bus of Dynamixel Protocol 2.0 servos: which virtual servo it has, and on which wire."""

from collections.abc import Mapping

from .dynamixel import VirtualDynamixel
from .dynamixel_wire import DynamixelRow


def row(models: Mapping[int, int], baud_rate: int) -> DynamixelRow:
    """Put servos on a wire.

    Args:
        models: Model number by id, in the order of the arm's joints.
        baud_rate: Rate they are set to.
    """
    return DynamixelRow([VirtualDynamixel(i, model_number=number, baud_rate=baud_rate) for i, number in models.items()])


ROW = row

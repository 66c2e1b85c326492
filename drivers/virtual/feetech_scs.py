"""The twin of a bus of Feetech SCS servos: which virtual servo it has, and on which wire."""

from collections.abc import Mapping

from .feetech_wire import FeetechRow
from .scs0009 import VirtualScs


def row(models: Mapping[int, int], baud_rate: int) -> FeetechRow:
    """Put servos on a wire.

    Args:
        models: Model number by id, in the order of the arm's joints.
        baud_rate: Rate they are set to.
    """
    return FeetechRow([VirtualScs(i, model_number=number, baud_rate=baud_rate) for i, number in models.items()])


ROW = row

"""Joints that linkages move, as those of a parallelogram: they follow the driven ones in proportion."""

from collections.abc import Sequence

Row = tuple[float, ...]


class Mix:
    """How the joints of a chain follow the driven ones, where linkages move some of them.

    Attributes:
        offsets: Position of each joint of the chain while all driven ones are at 0, rad.
        columns: Per driven joint, by how much each joint of the chain turns with it.
    """

    __slots__ = ("columns", "offsets", "rows")

    def __init__(self, offsets: Sequence[float], rows: Sequence[Row]) -> None:
        """Take one row of coefficients per joint of the chain."""
        self.offsets = tuple(offsets)
        self.rows = tuple(rows)
        self.columns = tuple(zip(*rows, strict=True))

    def expand(self, driven: Sequence[float]) -> list[float]:
        """Positions of all joints of the chain from those of the driven ones."""
        return [
            offset + sum([c * q for c, q in zip(row, driven, strict=True)])
            for offset, row in zip(self.offsets, self.rows, strict=True)
        ]

    def fold(self, values: Sequence[float]) -> list[float]:
        """What the driven joints have of a Jacobian's row, or of the torques, of all joints of the chain."""
        return [sum([c * v for c, v in zip(column, values, strict=True)]) for column in self.columns]

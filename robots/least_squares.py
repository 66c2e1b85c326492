"""From a wanted motion of the tool to a step of the joints: damped least squares."""

from collections.abc import Sequence
from math import sqrt


def damped_least_squares(
    rows: Sequence[Sequence[float]], twist: Sequence[float], *, damping: float, posture: Sequence[float] = ()
) -> list[float]:
    """Joint step that follows a twist and stays finite at singularities.

    Minimises |J dq - twist|^2 + damping^2 |dq - posture|^2 (Wampler 1986); directions that the task leaves free
    therefore follow `posture`. The normal equations are solved by Cholesky's method in scalar arithmetic, which
    for the handful of joints of an arm is several times faster than array calls between two physics steps.

    Args:
        rows: The six rows of the Jacobian, one entry per joint.
        twist: Wanted motion, one entry per row.
        damping: In the unit of the Jacobian's singular values.
        posture: Joint step wished for by the posture, rad; none if empty.
    """
    square = damping * damping
    t0, t1, t2, t3, t4, t5 = twist
    columns = list(zip(*rows, strict=True))
    lower: list[list[float]] = []
    halfway: list[float] = []
    for i, (a0, a1, a2, a3, a4, a5) in enumerate(columns):
        line: list[float] = []
        for (b0, b1, b2, b3, b4, b5), above in zip(columns, lower, strict=False):
            s = a0 * b0 + a1 * b1 + a2 * b2 + a3 * b3 + a4 * b4 + a5 * b5
            for left, right in zip(line, above, strict=False):
                s -= left * right
            line.append(s / above[-1])
        s = a0 * a0 + a1 * a1 + a2 * a2 + a3 * a3 + a4 * a4 + a5 * a5 + square
        r = a0 * t0 + a1 * t1 + a2 * t2 + a3 * t3 + a4 * t4 + a5 * t5
        if posture:
            r += square * posture[i]
        for left, known in zip(line, halfway, strict=True):
            s -= left * left
            r -= left * known
        diagonal = sqrt(s)
        line.append(diagonal)
        lower.append(line)
        halfway.append(r / diagonal)
    step = halfway
    for i in range(len(columns) - 1, -1, -1):
        step[i] /= lower[i][i]
        for k in range(i):
            step[k] -= lower[i][k] * step[i]
    return step

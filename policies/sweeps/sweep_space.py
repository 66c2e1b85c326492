"""What a sweep varies, as `KEY=LOW..HIGH`, `KEY=LOW..HIGH:log` or `KEY=a,b,c`, with the dotted keys of a recipe."""

import json
import math
import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...robots.errors import RefusedError

if TYPE_CHECKING:
    from optuna import Trial

NUMBER = r"[-+]?\d[\d_]*(?:\.\d+)?(?:[eE][-+]?\d+)?"
RANGE = re.compile(rf"(?P<low>{NUMBER})\.\.(?P<high>{NUMBER})(?P<log>:log)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Numbers of a range, whole where both ends are.

    Attributes:
        key: Of the recipe.
        low: The least.
        high: The greatest.
        log: Draw evenly on a logarithmic scale.
    """

    key: str
    low: float
    high: float
    log: bool = False

    @property
    def samples(self) -> tuple[Any, ...]:
        """Values by which it is seen whether the recipe takes such values."""
        return self.low, self.high

    def draw(self, trial: "Trial") -> Any:
        """A value for a trial."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(self.key, self.low, self.high, log=self.log)
        return trial.suggest_float(self.key, self.low, self.high, log=self.log)

    def read(self, stored: Any) -> Any:
        """The value of what a study has stored."""
        return stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of several values.

    Attributes:
        key: Of the recipe.
        samples: The values.
    """

    key: str
    samples: tuple[Any, ...]

    def draw(self, trial: "Trial") -> Any:
        """A value for a trial; a study stores text, because it takes no lists."""
        return self.read(trial.suggest_categorical(self.key, [json.dumps(value) for value in self.samples]))

    def read(self, stored: Any) -> Any:
        """The value of what a study has stored."""
        return json.loads(stored)


Axis = Span | Choice


def parse_axis(text: str) -> Axis:
    """Read one `--param`.

    Args:
        text: Such as "imitation.updates=500..3000", "imitation.learning_rate=1e-4..1e-2:log" or
            "nets.actor=[64, 64],[128, 128]"; a value that is no TOML is taken as a string.

    Raises:
        RefusedError: If it is malformed or leaves nothing to vary.
    """
    key, sign, values = (part.strip() for part in text.partition("="))
    if not sign or not key or not values:
        raise RefusedError(f"--param {text!r}: expected KEY=LOW..HIGH, KEY=LOW..HIGH:log or KEY=a,b,c")
    match = RANGE.fullmatch(values)
    if match is None:
        choices = _choices(values)
        if len(choices) < 2 or len({json.dumps(choice) for choice in choices}) < len(choices):
            raise RefusedError(f"--param {text!r}: give at least two values, all different, or a range LOW..HIGH")
        return Choice(key=key, samples=choices)
    low, high = (_number(match[end]) for end in ("low", "high"))
    if not low < high or not math.isfinite(high - low):
        raise RefusedError(f"--param {text!r}: {match['low']} must be below {match['high']}")
    if match["log"] and low <= 0:
        raise RefusedError(f"--param {text!r}: a logarithmic range begins above 0")
    if not (isinstance(low, int) and isinstance(high, int)):
        low, high = float(low), float(high)
    return Span(key=key, low=low, high=high, log=bool(match["log"]))


def _choices(text: str) -> tuple[Any, ...]:
    try:
        found = tomllib.loads(f"values = [{text}]")["values"]
        json.dumps(found)
    except (tomllib.TOMLDecodeError, TypeError):
        return tuple(_value(part.strip()) for part in text.split(","))
    return tuple(found)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _number(text: str) -> int | float:
    plain = text.replace("_", "")
    return int(plain) if re.fullmatch(r"[-+]?\d+", plain) else float(plain)

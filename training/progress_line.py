"""A running training in one line of text."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

from training.config import TrainConfig
from training.environment_config import is_scored
from training.loop import Progress, Update

_WINDOW_SECONDS = 20.0
_WIN_RATE = "charts/win_rate/"


class ProgressLine:
    """Tells steps, speed, policy lag, how training goes and the time left."""

    def __init__(self, config: TrainConfig, progress: Progress) -> None:
        self._config = config
        self._start = progress.seconds, progress.share(config)
        self._recent = deque([(progress.seconds, progress.game_steps)])

    def text(self, update: Update) -> str:
        """Return the line after an update."""
        progress = update.progress
        parts = [f"{progress.game_steps:,} steps", f"{self._steps_per_second(progress):,.0f} steps/s"]
        parts += [*self._achieved(update.metrics), f"{clock(self._seconds_left(progress))} left"]
        return " | ".join(parts)

    def _achieved(self, metrics: Mapping[str, float]) -> list[str]:
        parts = [f"lag {metrics.get('rollout/policy_lag', 0.0):.1f}"]
        if is_scored(self._config.environment):
            if "charts/episodic_return" in metrics:
                parts.append(f"return {metrics['charts/episodic_return']:.1f}")
        else:
            rates = {name[len(_WIN_RATE) :]: rate for name, rate in metrics.items() if name.startswith(_WIN_RATE)}
            wins = [f"{opponent} {100 * rate:.0f} %" for opponent, rate in sorted(rates.items())]
            parts.append("wins " + (", ".join(wins) if wins else "none yet"))
        return parts

    def _steps_per_second(self, progress: Progress) -> float:
        self._recent.append((progress.seconds, progress.game_steps))
        while len(self._recent) > 2 and self._recent[0][0] < progress.seconds - _WINDOW_SECONDS:
            self._recent.popleft()
        seconds, steps = (now - before for now, before in zip(self._recent[-1], self._recent[0], strict=True))
        return steps / seconds if seconds else 0.0

    def _seconds_left(self, progress: Progress) -> float:
        seconds, share = progress.seconds - self._start[0], progress.share(self._config) - self._start[1]
        return seconds / share * (1 - progress.share(self._config)) if share > 0 else math.inf


class ImitationLine(ProgressLine):
    """Tells steps, speed, how many decisions are as recorded, and the time left."""

    def __init__(self, config: TrainConfig, progress: Progress) -> None:
        super().__init__(config, progress)
        self._accuracy: dict[str, float] = {}

    def _achieved(self, metrics: Mapping[str, float]) -> list[str]:
        for name, place in (("right", "imitation"), ("on held-out games", "held_out")):
            if f"{place}/accuracy" in metrics:
                self._accuracy[name] = metrics[f"{place}/accuracy"]
        return [f"{100 * accuracy:.1f} % {name}" for name, accuracy in self._accuracy.items()]


def clock(seconds: float) -> str:
    """Return a time such as 1:02:03 or 4:05."""
    if not math.isfinite(seconds):
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"

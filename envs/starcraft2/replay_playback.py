"""A replay played back by the game: what its player did, what it saw when it did, what it built."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.function_calls import COMPONENT_NAMES, DELAY, REPEAT, FunctionCallSpace
from envs.spaces import ACTION_MASK, ENTITY_CLASSES
from envs.starcraft2.abilities import costs_from_game
from envs.starcraft2.actions import from_protobuf, keep_allowed, last_action, no_op
from envs.starcraft2.compatibility import remote_controller, sc_pb
from envs.starcraft2.entity_columns import PLACEHOLDER
from envs.starcraft2.faults import GARBAGE, GameFaultError, nonsense_reported
from envs.starcraft2.game import interface_options
from envs.starcraft2.native_masks import fastest_masks
from envs.starcraft2.observation import EncodedObservation, ObservationEncoder
from envs.starcraft2.process import GameProcess
from envs.starcraft2.progress import PlayerProgress
from envs.starcraft2.replay_files import ReplayError
from envs.starcraft2.replay_plan import PlannedDecision, TimedAction
from envs.starcraft2.scalars import LastAction

SURVEY_STRIDE = 16
"""Game loops between two looks at what a player has built."""
_OWN = 1
_DELAY, _REPEAT = COMPONENT_NAMES.index(DELAY), COMPONENT_NAMES.index(REPEAT)


@dataclass(frozen=True)
class Survey:
    """What a look through a replay found.

    Attributes:
        actions: the player's actions, in order.
        first_loop, last_loop: game loops of the first and the last observation.
        progress: what the player built.
    """

    actions: list[TimedAction]
    first_loop: int
    last_loop: int
    progress: PlayerProgress


@dataclass(frozen=True)
class RecordedDecision:
    """An observation and the decision that was made on it.

    Attributes:
        observation: padded arrays by key, the mask of functions included; the mask allows the function decided on.
        call: int64 [6 + K]; of no_op where the player waits.
        game_loop: when.
        left_out: why what the player did is no legal call, "" where it is one; `call` tells nothing then but its delay.
    """

    observation: dict[str, NDArray[Any]]
    call: NDArray[np.int64]
    game_loop: int
    left_out: str = ""


def ask_for_replay(
    process: GameProcess, name: str, ask: Callable[[Any], Any], *, timeout_seconds: float | None = None
) -> Any:
    """Return the game's answer, as `GameProcess.request` does; a refusal is no fault of the game's.

    Raises:
        ReplayError: if the game refuses the replay, with its reason.
        GameFaultError: if the game fails.
    """

    def answer_or_refusal(controller: Any) -> Any:
        try:
            return ask(controller)
        except remote_controller.RequestError as error:
            return error

    answer = process.request(name, answer_or_refusal, timeout_seconds=timeout_seconds)
    if isinstance(answer, remote_controller.RequestError):
        kind, _, details = str(answer).partition(": ")  # such as SC2APIProtocol.ResponseStartReplay.MissingMap: 'path'
        raise ReplayError(f"refused: {kind.rpartition('.')[2]}", details)
    return answer


class Playback:
    """One player's view of a replay in a running game.

    Args:
        process: a game of the replay's version.
        replay: contents of the replay's file.
        player_id: whose view.
        map_data: contents of the map's file; None where the game finds the map itself.
        load_timeout_seconds: how long the game may take to begin the replay.
    """

    def __init__(
        self,
        process: GameProcess,
        replay: bytes,
        player_id: int,
        *,
        map_data: bytes | None = None,
        load_timeout_seconds: float = 120.0,
    ) -> None:
        self._process, self._timeout = process, load_timeout_seconds
        self._request = sc_pb.RequestStartReplay(
            replay_data=replay, map_data=map_data, observed_player_id=player_id, options=interface_options()
        )
        self._game_loop = 0

    def survey(self, *, stride: int = SURVEY_STRIDE, max_game_loops: int | None = None) -> Survey:
        """Return what the player did and built, looking every `stride` game loops.

        Raises:
            GameFaultError: if the game fails.
        """
        message = self._begin()
        progress, actions = PlayerProgress(), _timed_actions(message)
        first_loop = self._game_loop
        _note(progress, message)
        while not self._has_ended(message) and (max_game_loops is None or self._game_loop < max_game_loops):
            before = self._game_loop
            message = self._go_to(before + stride)
            actions += _timed_actions(message)
            if not self._has_ended(message) and self._game_loop <= before:
                raise GameFaultError(GARBAGE, f"the replay stays at game loop {before} but does not end")
            _note(progress, message)
        return Survey(actions, first_loop, self._game_loop, progress)

    def record(self, plan: list[PlannedDecision], space: FunctionCallSpace) -> Iterator[RecordedDecision]:
        """Yield each planned decision with what the player saw.

        Args:
            plan: see `replay_plan.plan_decisions`.
            space: which units and targets a function allows.

        Raises:
            GameFaultError: if the game fails.
            ReplayError: if an observation is none that the encoder takes.
        """
        message = self._begin()
        info = self._process.request("game_info", lambda controller: controller.game_info())
        data = self._process.request("data", lambda controller: controller.data_raw())
        masks = fastest_masks(costs_from_game(data))
        with nonsense_reported():
            encoder = ObservationEncoder(info, max_entities=space.max_entities)
        last: LastAction | None = None
        for decision in plan:
            if decision.game_loop > self._game_loop:
                message = self._go_to(decision.game_loop)
            try:
                seen = encoder.encode(message, last_action=last)
            except ValueError as error:
                raise ReplayError("an observation that cannot be encoded", str(error)) from error
            call, left_out = _label(decision, seen, encoder, space)
            observation = dict(seen.arrays)
            mask = masks.of(seen, observation[ENTITY_CLASSES])
            # A player may do what our facts of the game bar, and what it did must be possible to learn.
            mask[call[0]] = 1
            observation[ACTION_MASK] = mask
            last = last_action(call, seen.tags)
            yield RecordedDecision(observation, call, seen.game_loop, left_out)

    def _begin(self) -> Any:
        ask_for_replay(
            self._process,
            "start_replay",
            lambda controller: controller.start_replay(self._request),
            timeout_seconds=self._timeout,
        )
        return self._observe()

    def _go_to(self, game_loop: int) -> Any:
        loops = game_loop - self._game_loop
        self._process.request("step", lambda controller: controller.step(loops))
        return self._observe()

    def _has_ended(self, message: Any) -> bool:
        return bool(message.player_result) or bool(self._process.controller.status_ended)

    def _observe(self) -> Any:
        message = self._process.request("observation", lambda controller: controller.observe())
        if not message.observation.HasField("raw_data"):
            raise GameFaultError(GARBAGE, "the game answered 'observation' without raw data")
        self._game_loop = int(message.observation.game_loop)
        return message


def _timed_actions(message: Any) -> list[TimedAction]:
    now = int(message.observation.game_loop)
    return [TimedAction(int(action.game_loop) or now, action) for action in message.actions]


def _note(progress: PlayerProgress, message: Any) -> None:
    raw = message.observation.raw_data
    units = [
        unit
        for unit in raw.units
        if unit.alliance == _OWN and not unit.is_hallucination and unit.display_type != PLACEHOLDER
    ]
    progress.update(
        np.array([unit.tag for unit in units], np.int64),
        np.array([unit.unit_type for unit in units], np.int64),
        np.array([(unit.pos.x, unit.pos.y) for unit in units], np.float64).reshape(-1, 2),
        np.array(raw.player.upgrade_ids, np.int64),
        np.array([effect.effect_id for effect in raw.effects if effect.alliance == _OWN], np.int64),
        game_loop=int(message.observation.game_loop),
    )


def _label(
    decision: PlannedDecision, seen: EncodedObservation, encoder: ObservationEncoder, space: FunctionCallSpace
) -> tuple[NDArray[np.int64], str]:
    """Return the call that a decision is, and why its action is none if it is none of ours."""
    waiting = no_op(space.max_entities, space.max_selected)
    waiting[_DELAY] = decision.delay - 1
    if decision.message is None:
        return waiting, ""
    try:
        call = from_protobuf(
            decision.message, seen.tags, encoder.grid, hide_specific=True, max_selected=space.max_entities
        )
    except ValueError:
        return waiting, "no function for the target"
    if not call[0]:
        return waiting, "unknown ability, units or target"
    allowed = keep_allowed(call, seen.arrays[ENTITY_CLASSES], space)
    if allowed is None:
        return waiting, "units or target that the function does not take"
    allowed[_DELAY] = decision.delay - 1
    if "repeat" in space.arguments[int(allowed[0])]:
        allowed[_REPEAT] = decision.repeat
    return allowed, ""


def count_left_out(decisions: list[RecordedDecision]) -> Counter[str]:
    """Return how many actions are no legal call, by reason."""
    return Counter(decision.left_out for decision in decisions if decision.left_out)

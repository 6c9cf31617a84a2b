"""The game's own vector client, driven through JPype as the packaged Python environment does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.microrts.ais import ai_factory
from envs.microrts.installation import game_directory
from envs.microrts.jvm import java_class, unit_type_table

REWARD_FUNCTIONS = (
    "WinLoss",
    "ResourceGather",
    "ProduceWorker",
    "ProduceBuilding",
    "Attack",
    "ProduceCombatUnit",
)
_FRESH_UNIT = 1 << 30  # the bridge lets the game number new units from here on


class PackagedClient:
    """JNIGridnetVecClient: observations as planes, masks as a grid, actions as nested arrays. It resets by itself.

    Args:
        map_path: a map's name.
        opponents: the AI of each game.
        player: which player the agent is, in every game.
        max_steps: game steps after which a game is cut off.
    """

    def __init__(self, map_path: str, opponents: Sequence[str], *, player: int = 0, max_steps: int = 2000) -> None:
        import jpype

        num_games = len(opponents)
        rewards = jpype.JArray(java_class("ai.rewardfunction.RewardFunctionInterface"))(
            [java_class(f"ai.rewardfunction.{name}RewardFunction")() for name in REWARD_FUNCTIONS]
        )
        self._client: Any = java_class("tests.JNIGridnetVecClient")(
            0,
            num_games,
            max_steps,
            rewards,
            str(game_directory()),
            jpype.JArray(jpype.JString)([map_path] * num_games),
            jpype.JArray(java_class("ai.core.AI"))([ai_factory(name).make() for name in opponents]),
            unit_type_table(),
            False,
        )
        self._next_unit = [0] * num_games
        self._player = player
        self._players = jpype.JArray(jpype.JInt)([player] * num_games)
        self._int_array = jpype.JArray(jpype.JInt)
        self._order_array = jpype.JArray(jpype.JArray(jpype.JInt))
        self._batch_array = jpype.JArray(jpype.JArray(jpype.JArray(jpype.JInt)))

    def reset(self) -> NDArray[np.int32]:
        """Begin all games and return what the player sees, [games, planes, height, width]."""
        return np.array(self._client.reset(self._players).observation)

    def number_units(self) -> None:
        """Number the units of each game from its start, as our bridge does.

        The game numbers units over all games of the process, and AIs keep units in hash maps, whose order depends on
        these numbers: without this the client does not even play the same games as itself.
        """
        for game, client in enumerate(self._client.clients):
            units = client.gs.getUnits()
            if int(client.gs.getTime()) == 0:
                self._next_unit[game] = 1 + max(int(unit.getID()) for unit in units)
            for unit in units:
                if int(unit.getID()) >= _FRESH_UNIT:
                    unit.setID(self._next_unit[game])
                    self._next_unit[game] += 1

    def masks(self) -> NDArray[np.int32]:
        """Return whether an own unit awaits an order and its legal actions, [games, height, width, 1 + 78]."""
        return np.array(self._client.getMasks(self._player))

    def step(
        self, orders: Sequence[NDArray[np.int32]]
    ) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.bool_]]:
        """Play one game step and return observations, reward terms [games, 6] and whether each game has ended.

        Args:
            orders: for each game int [units, 8]: the cell, then the seven components of the unit's action.
        """
        java_orders = self._batch_array(
            [self._order_array([self._int_array(order) for order in of_game]) for of_game in orders]
        )
        response = self._client.gameStep(java_orders, self._players)
        done = np.array(response.done)[:, 0]
        return np.array(response.observation), np.array(response.reward), done

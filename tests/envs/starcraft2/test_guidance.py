from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs.spaces import ENTITY_CLASSES, SCALARS
from envs.starcraft2.compatibility import sc_pb
from envs.starcraft2.conditioning import unit_build_item
from envs.starcraft2.entity_columns import PLACEHOLDER
from envs.starcraft2.functions import FUNCTION_BY_NAME
from envs.starcraft2.guidance import HumanGuidance
from envs.starcraft2.human_statistics import BuildStep, HumanStatistic, write_statistics
from envs.starcraft2.observation import ObservationEncoder
from envs.starcraft2.rewards import REWARD_TERM_NAMES
from envs.starcraft2.scalars import SCALAR_SLICES
from tests.envs.starcraft2.stand_in_games import no_ops, vector_env

SCV = 45


def statistic(race: str = "terran", opponent_race: str = "zerg", unit: int = SCV) -> HumanStatistic:
    """Return z of a game that built one unit and researched nothing."""
    return HumanStatistic(
        race=race,
        opponent_race=opponent_race,
        map_name="Flat32",
        build_order=(BuildStep("unit", unit, 10),),
        unit_types=frozenset({unit}),
        upgrades=frozenset(),
        effects=frozenset(),
    )


def guidance(*statistics: HumanStatistic, **settings: float) -> HumanGuidance:
    defaults = {"hide_build_order": 0.0, "hide_cumulative": 0.0, "activation": 1.0}
    return HumanGuidance(statistics=statistics or (statistic(),), **{**defaults, **settings})


def scalar_part(observation: dict[str, Any], name: str) -> Any:
    return observation[SCALARS][0, SCALAR_SLICES[name]]


@pytest.mark.usefixtures("stand_in")
def test_following_z_is_rewarded_and_z_is_shown() -> None:
    train = FUNCTION_BY_NAME["Train_SCV_quick"].index
    with vector_env(["very_easy"], guidance=guidance()) as env:
        assert env.reward_term_names == REWARD_TERM_NAMES
        observation, infos = env.reset()
        assert not infos["reward_terms"].any()
        assert scalar_part(observation, "build_order_given").tolist() == [1]
        assert np.flatnonzero(scalar_part(observation, "build_order")).tolist() == [unit_build_item(SCV)]
        able = env.single_action_space.selection_table[train, observation[ENTITY_CLASSES][0, :, 0]]
        action = no_ops(env)
        action[0, 0], action[0, 6] = train, np.flatnonzero(able)[0]
        total = np.zeros(5)
        for step in range(30):
            _, rewards, _, _, infos = env.step(action if step == 0 else no_ops(env))
            total += infos["reward_terms"][0]
            assert rewards[0] == pytest.approx(infos["reward_terms"][0].sum())
        # One worker: no edit left, no unit type missing; nothing else to research or cast.
        assert total[0] == 0
        assert total[1] > 0
        assert total[2:].tolist() == [1, 0, 0]


@pytest.mark.usefixtures("stand_in")
def test_hidden_parts_are_neither_shown_nor_rewarded() -> None:
    hiding = guidance(hide_build_order=1.0, hide_cumulative=1.0)
    with vector_env(["very_easy"], guidance=hiding) as env:
        observation, _ = env.reset()
        for name in ("build_order_given", "build_order", "cumulative_given", "cumulative"):
            assert not scalar_part(observation, name).any()
        for _ in range(5):
            assert not env.step(no_ops(env))[4]["reward_terms"].any()


def test_z_is_drawn_for_the_race_and_the_opponent() -> None:
    collection = guidance(statistic(unit=45), statistic(opponent_race="protoss", unit=48), statistic("zerg", unit=104))
    generator = np.random.default_rng(0)

    def drawn(race: str, opponent_race: str | None) -> set[Any]:
        shown = [
            collection.begin(generator, race=race, opponent_race=opponent_race, map_name="Flat32").shown
            for _ in range(30)
        ]
        return {tuple(each.unit_types or ()) for each in shown}

    assert drawn("terran", "protoss") == {(48,)}
    assert drawn("terran", None) == {(45,), (48,)}
    assert drawn("zerg", "protoss") == {(104,)}


def test_races_without_z_are_refused() -> None:
    collection = guidance(statistic(), statistic("zerg"))
    collection.check_race("terran")
    with pytest.raises(ValueError, match="no human statistic of protoss among 2, which the race 'random' needs"):
        collection.check_race("random")


def test_files_are_read_and_probabilities_checked(tmp_path: Path) -> None:
    write_statistics(tmp_path / "z.json", [statistic()])
    assert HumanGuidance.from_file(tmp_path / "z.json", activation=0.5).statistics == (statistic(),)
    with pytest.raises(ValueError, match="activation must be a probability from 0 to 1, got 2"):
        guidance(activation=2)


def test_hallucinations_and_planned_buildings_are_not_built() -> None:
    info = sc_pb.ResponseGameInfo()
    info.start_raw.map_size.x = info.start_raw.map_size.y = 64
    encoder = ObservationEncoder(info)
    followed = guidance().begin(np.random.default_rng(0), race="terran", opponent_race=None, map_name="Flat32")

    def rewards(*units: dict[str, Any]) -> list[float]:
        message = sc_pb.ResponseObservation()
        for tag, unit in enumerate(units, 1):
            message.observation.raw_data.units.add(tag=tag, unit_type=SCV, alliance=1, **unit)
        return followed.step(encoder.encode(message), (), encoder.grid).tolist()

    assert not any(rewards())
    planned, feigned, real = {"display_type": PLACEHOLDER}, {"is_hallucination": True}, {"display_type": 1}
    assert not any(rewards(planned, feigned))
    assert rewards(planned, feigned, real)[1] == 1

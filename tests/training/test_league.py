"""Records, priorities and shares against values worked by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from training.league import Deal, League, LeagueConfig, Payoff, past_self_name, priorities, prioritised_shares


def make_league(*ais: str, **config: object) -> League:
    return League(LeagueConfig(**{"deal": "prioritised", **config}), ais)  # type: ignore[arg-type]


def test_priorities_are_those_of_the_paper() -> None:
    win_rates = [0.0, 0.25, 0.5, 1.0]
    np.testing.assert_allclose(priorities(win_rates, "hard"), [1.0, 0.5625, 0.25, 0.0])
    np.testing.assert_allclose(priorities(win_rates, "hard", hardness=1.0), [1.0, 0.75, 0.5, 0.0])
    np.testing.assert_allclose(priorities(win_rates, "variance"), [0.0, 0.1875, 0.25, 0.0])


def test_shares_are_part_mix_and_part_need() -> None:
    # The mix is 1/2, 1/4, 1/4; by need its first has nothing, the others 3/4 and 1/4.
    shares = prioritised_shares([2, 1, 1], [0.0, 0.75, 0.25], 0.2)
    np.testing.assert_allclose(shares, [0.2 * 0.5, 0.2 * 0.25 + 0.8 * 0.75, 0.2 * 0.25 + 0.8 * 0.25])
    # Who is in the mix twice is met twice as often as another who is as strong.
    np.testing.assert_allclose(prioritised_shares([2, 1], [0.5, 0.5], 0.2), [2 / 3, 1 / 3])
    np.testing.assert_allclose(prioritised_shares([3, 1], [0.0, 0.0], 0.2), [0.75, 0.25])


def test_a_record_forgets() -> None:
    payoff = Payoff(decay=0.5)
    assert payoff.win_rate("Rush", 0) == 0.5
    for outcome in (1, 0, -1):
        payoff.add("Rush", 0, outcome, 100)
    # Games 1/4 + 1/2 + 1, of them 1/4 won and 1/2 drawn; two prior games, one of them won.
    assert payoff.win_rate("Rush", 0) == pytest.approx((0.25 + 0.25 + 1) / (1.75 + 2))
    assert payoff.win_rate("Rush", 1) == 0.5
    for _ in range(2000):
        payoff.add("Rush", 1, 1, 100)
    assert payoff.win_rate("Rush", 1) == pytest.approx(3 / 4)  # two games at most are remembered


def test_a_mean_length_leans_on_the_others_where_games_are_few() -> None:
    payoff = Payoff(decay=1.0)
    assert payoff.mean_length("Rush", 0) == 1.0
    for _ in range(3):
        payoff.add("Rush", 0, -1, 100)
    payoff.add("Turtle", 0, 0, 1000)
    assert payoff.mean_length("Nobody", 0) == pytest.approx(1300 / 4)
    assert payoff.mean_length("Turtle", 0) == pytest.approx((1000 + 2 * 325) / 3)


def test_those_that_win_are_met_more_and_nobody_is_forgotten() -> None:
    league = make_league("Beaten", "Even", "Winner", mix_share=0.3)
    for game in range(300):
        for name, outcome in (("Beaten", 1), ("Even", 1 if game % 2 else -1), ("Winner", -1)):
            league.add(name, 1, outcome, 100)
    hard = league.shares(1)
    assert 0.1 <= hard["Beaten"] < 0.11 < hard["Even"] < 0.3 < 0.6 < hard["Winner"]
    assert sum(hard.values()) == pytest.approx(1)
    assert league.shares(0) == pytest.approx({"Beaten": 1 / 3, "Even": 1 / 3, "Winner": 1 / 3})
    variance = League(LeagueConfig(priority="variance", mix_share=0.3), league.mix)
    variance.load_state_dict(league.state_dict())
    assert variance.shares(1)["Even"] > 0.7
    assert league.metrics()["league/payoff/Winner"] == pytest.approx((league.payoff.win_rate("Winner", 1) + 0.5) / 2)
    assert league.metrics()["league/share/Winner"] == pytest.approx((hard["Winner"] + 1 / 3) / 2)


def test_shares_are_of_play_not_of_episodes() -> None:
    """Whoever plays games of four times the length begins a quarter as many for the same share."""
    league = make_league("Short", "Long", mix_share=1.0, payoff_decay=1.0)
    for _ in range(10_000):
        league.add("Short", 0, 1, 100)
        league.add("Long", 0, 1, 400)
    deal = league.deal()
    assert deal.ais is not None
    assert deal.ais[0] == pytest.approx({"Short": 0.8, "Long": 0.2}, rel=1e-2)
    drawn = [deal.draw_ai(0, generator) for generator in [np.random.default_rng(3)] for _ in range(2000)]
    assert drawn.count("Short") / 2000 == pytest.approx(0.8, abs=0.03)


def test_a_deal_in_turn_leaves_games_their_opponents() -> None:
    league = make_league("Rush", deal="in_turn")
    league.add("Rush", 0, -1, 10)
    assert league.deal() == Deal()
    assert league.deal().draw_ai(0, np.random.default_rng(0)) is None
    assert league.metrics() == {}
    assert make_league().deal() == Deal()


def make_past_league(**config: object) -> League:
    return League(LeagueConfig(**config), (), with_past_selves=True)  # type: ignore[arg-type]


def test_the_agent_is_frozen_at_the_start_and_every_so_many_updates() -> None:
    league = make_past_league(snapshot_interval_updates=3)
    for version in range(8):
        if league.is_due(version):
            league.freeze(version, f"weights {version}")
    assert league.snapshots == {0: "weights 0", 3: "weights 3", 6: "weights 6"}
    late = make_past_league(snapshot_interval_updates=3)
    assert late.is_due(100)  # a run that takes up past selves on its way has one to begin with
    assert not make_league().is_due(0)


def test_past_selves_that_win_are_met_more_and_the_surest_beaten_makes_room() -> None:
    league = make_past_league(max_snapshots=3, mix_share=0.3)
    for version, outcome in ((0, -1), (1, 1), (2, 0)):
        league.freeze(version, None)
        for side in (0, 1) * 100:
            league.add(past_self_name(version), side, outcome, 100)
    shares = league.past_shares()
    assert shares[1] == pytest.approx(0.1, abs=1e-3)
    # What is left goes by (1 - x)^2: nearly 1 to 1/4.
    assert shares[0] == pytest.approx(0.1 + 0.7 * 0.8, abs=0.01)
    assert shares[2] == pytest.approx(0.1 + 0.7 * 0.2, abs=0.01)
    assert league.metrics()["league/payoff/hardest_past_self"] == pytest.approx(0, abs=0.05)
    assert league.metrics()["league/payoff/past_self"] == pytest.approx(0.5, abs=0.01)
    generator = np.random.default_rng(0)
    drawn = [league.deal().draw_past_self(generator) for _ in range(1000)]
    assert drawn.count(0) / 1000 == pytest.approx(shares[0], abs=0.05)
    league.freeze(3, None)
    assert list(league.snapshots) == [0, 2, 3]
    assert league.elo.rating(past_self_name(3)) == league.elo.rating("agent") == league.metrics()["league/elo/agent"]
    league.add(past_self_name(1), 0, 1, 100)  # a game that had begun before
    assert past_self_name(1) not in str(league.state_dict())


def test_nobody_can_be_drawn_before_somebody_is_frozen() -> None:
    with pytest.raises(ValueError, match="there is no past self to play against"):
        make_past_league().deal().draw_past_self(np.random.default_rng(0))


def test_the_state_is_plain_and_restores_everything() -> None:
    league = make_league("Rush", "Turtle")
    league.add("Rush", 0, 1, 70)
    league.add("Turtle", 1, -1, 300)
    league.add("Stranger", 1, -1, 300)
    other = make_league("Rush", "Turtle")
    other.load_state_dict(json.loads(json.dumps(league.state_dict())))
    assert other.deal() == league.deal()
    assert other.metrics() == league.metrics()
    assert "Stranger" not in str(other.state_dict())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mix_share": 1.5}, "mix_share must lie between 0 and 1, got 1.5"),
        ({"payoff_decay": 0.0}, "payoff_decay must be above 0"),
        ({"hardness": 0.0}, "hardness must be positive"),
        ({"hardness": float("nan")}, "hardness must be positive and finite, got nan"),
        ({"max_snapshots": 0}, "max_snapshots must be at least 1, got 0"),
    ],
)
def test_settings_are_checked(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LeagueConfig(**changes)  # type: ignore[arg-type]

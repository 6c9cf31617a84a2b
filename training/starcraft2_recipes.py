"""Named training runs of StarCraft II. None was run on the game itself; see docs/starcraft2.md."""

from __future__ import annotations

from dataclasses import replace

from agent.config import AgentConfig
from training.config import ActorConfig, EvaluationConfig, TrainConfig
from training.environment_config import NO_OPPONENT, SELF_PLAY, StarCraft2Config
from training.learner_config import LearnerConfig

_LADDER = ("very_easy", "easy", "medium", "medium_hard", "hard", "harder", "very_hard")


def starcraft2_simple64_1gpu() -> TrainConfig:
    """Learn Simple64 with an agent of AlphaStar's size, against the built-in AIs and itself."""
    return TrainConfig(
        recipe="starcraft2_simple64_1gpu",
        hardware="1 GPU of 80 GB, 16 CPU cores, 64 GiB, days",
        environment=StarCraft2Config(
            map_name="Simple64",
            race="protoss",
            opponent_race="protoss",
            opponents=(*_LADDER, SELF_PLAY),
        ),
        agent=AgentConfig.of_size("full"),
        # AlphaStar's losses (Vinyals et al. 2019, Methods): TD(0.8) without a discount, UPGO, squared value error.
        learner=LearnerConfig(
            learning_rate=3e-5,
            final_learning_rate=3e-5,
            policy_loss="policy_gradient",
            num_epochs=1,
            num_minibatches=1,
            discounts=(1.0,),
            trace_decay=0.8,
            upgo_cost=1.0,
            value_cost=10.0,
            huber_delta=None,
            entropy_cost=1e-4,
            normalise_advantages=False,
        ),
        actors=ActorConfig(
            num_actors=14, games_per_actor=2, unroll_length=64, queue_size=14, unroll_timeout_seconds=900.0
        ),
        unrolls_per_update=14,
        evaluation=EvaluationConfig(
            opponents=(*_LADDER, "cheat_vision", "cheat_money", "cheat_insane"), max_steps=28_800, games_at_once=2
        ),
        total_steps=2_000_000_000,
        checkpoint_interval_updates=500,
    )


def starcraft2_minigame() -> TrainConfig:
    """Learn one of pysc2's mini-games, MoveToBeacon unless --environment.map-name says otherwise."""
    return TrainConfig(
        recipe="starcraft2_minigame",
        hardware="4 CPU cores, hours",
        environment=StarCraft2Config(
            map_name="MoveToBeacon", race="terran", opponents=(NO_OPPONENT,), max_actions=None
        ),
        agent=AgentConfig.of_size("small"),
        learner=LearnerConfig(num_epochs=1, num_minibatches=2, discounts=(0.999,), normalise_values=True),
        actors=ActorConfig(
            num_actors=2, games_per_actor=8, unroll_length=32, queue_size=1, unroll_timeout_seconds=900.0
        ),
        unrolls_per_update=1,
        evaluation=EvaluationConfig(games=50, games_at_once=5),
        total_steps=20_000_000,
    )


def starcraft2_tiny() -> TrainConfig:
    """Learn to beat the weakest AI on the smallest map."""
    return TrainConfig(
        recipe="starcraft2_tiny",
        hardware="2 CPU cores, 35 minutes",
        environment=StarCraft2Config(
            map_name="Flat32",
            race="terran",
            opponent_race="terran",
            opponents=("very_easy",),
            max_steps=8000,
            max_entities=128,
            functions=(
                "Attack_pt",
                "Attack_unit",
                "Build_Barracks_pt",
                "Build_SupplyDepot_pt",
                "Harvest_Gather_unit",
                "Train_Marine_quick",
                "Train_SCV_quick",
            ),
            score_terms=("killed_value_units", "killed_value_structures", "total_damage_dealt.life"),
            reward_weights=(5.0, 5.0, 5.0, 2.0),
        ),
        # Half of a step's time would else go into the map.
        agent=replace(AgentConfig.of_size("small"), map_channels=8),
        learner=LearnerConfig(
            learning_rate=1e-3,
            final_learning_rate=2e-4,
            num_epochs=2,
            num_minibatches=4,
            max_grad_norm=5.0,
            # What an order does to the score shows within half a minute, winning takes the whole game.
            discounts=(0.9998, 0.999, 0.999, 0.999),
            entropy_cost=0.005,
            final_entropy_cost=0.0005,
        ),
        actors=ActorConfig(
            num_actors=1, games_per_actor=16, unroll_length=32, queue_size=1, unroll_timeout_seconds=900.0
        ),
        unrolls_per_update=1,
        evaluation=EvaluationConfig(
            opponents=("very_easy",), games=50, max_steps=8000, games_at_once=5, untrained_baseline=True
        ),
        total_steps=50_000_000,
        max_minutes=30.0,
    )

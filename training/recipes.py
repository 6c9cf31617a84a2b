"""Named training runs; each returns a full config and says what hardware it is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from agent.config import AgentConfig
from envs.errors import UnknownNameError
from training.config import ActorConfig, EvaluationConfig, TrainConfig
from training.environment_config import SELF_PLAY, GymnasiumConfig, MicroRTSConfig
from training.league import LeagueConfig
from training.learner_config import LearnerConfig
from training.starcraft2_recipes import starcraft2_minigame, starcraft2_simple64_1gpu, starcraft2_tiny

_8X8 = "maps/8x8/basesWorkers8x8A.xml"
_16X16 = "maps/16x16/basesWorkers16x16A.xml"
_SCRIPTED = ("RandomBiasedAI", "WorkerRush", "LightRush", "CoacAI")
_SPARRING_PARTNERS = (
    *("CoacAI", "CoacAI", "WorkerRush", "LightRush", "RandomBiasedAI", "Rojo", "HeavyRush", "RangedRush"),
    *("WorkerDefense", "LightDefense", SELF_PLAY, SELF_PLAY),
)
_HARDEST_TO_BEAT = (
    *("CoacAI", "CoacAI", "CoacAI", "WorkerRush", "WorkerRush", "LightRush", "RandomBiasedAI", "Rojo"),
    *("WorkerDefense", "RangedRush", SELF_PLAY, SELF_PLAY),
)


def _microrts(
    recipe: str,
    hardware: str,
    map_path: str,
    opponents: tuple[str, ...],
    minutes: float,
    evaluation: EvaluationConfig,
    max_steps: int = 2000,
) -> TrainConfig:
    """Return a run on µRTS for two cores: one actor and one learner thread, which keep each other busy."""
    # Half of Gym-µRTS's shaped rewards: they start the learning, and step back as it goes on, since an agent that still
    # lives on them at the end gathers and builds for ever and wins less.
    environment = MicroRTSConfig(
        map_path=map_path, opponents=opponents, max_steps=max_steps, reward_weights=(10.0, 0.5, 0.5, 0.2, 1.0, 2.0)
    )
    return TrainConfig(
        recipe=recipe,
        hardware=hardware,
        environment=environment,
        agent=AgentConfig.of_size("small"),
        learner=LearnerConfig(
            learning_rate=1e-3,
            final_learning_rate=2e-4,
            num_epochs=1,
            num_minibatches=4,
            max_grad_norm=5.0,
            discounts=(0.998, 0.99, 0.99, 0.99, 0.99, 0.99),
            final_term_weights=(1.0, 0.1, 0.1, 0.1, 0.1, 0.1),
            final_entropy_cost=0.002,
        ),
        actors=ActorConfig(num_actors=1, games_per_actor=64, unroll_length=32, queue_size=1),
        unrolls_per_update=1,
        evaluation=evaluation,
        total_steps=100_000_000,
        max_minutes=minutes,
    )


def quickstart() -> TrainConfig:
    """Learn the 8x8 map of µRTS in a few minutes; what `make train` runs."""
    return _microrts(
        "quickstart",
        "2 CPU cores, 10 minutes",
        _8X8,
        ("RandomBiasedAI", "WorkerRush", "LightRush", "CoacAI"),
        7.0,
        EvaluationConfig(opponents=_SCRIPTED, untrained_baseline=True),
    )


def microrts_8x8() -> TrainConfig:
    """Learn to beat the scripted AIs on the 8x8 map."""
    return _microrts(
        "microrts_8x8",
        "2 CPU cores, 20 minutes",
        _8X8,
        ("RandomBiasedAI", "WorkerRush", "LightRush", "CoacAI"),
        15.0,
        EvaluationConfig(opponents=_SCRIPTED, modes=("sampled", "greedy")),
    )


def microrts_16x16() -> TrainConfig:
    """Learn the 16x16 map against a mix of AIs."""
    return _microrts(
        "microrts_16x16",
        "2 CPU cores, 40 minutes",
        _16X16,
        # The weakest of them is met most: on this map it is the one that a beginner can learn to beat.
        ("RandomBiasedAI", "RandomBiasedAI", "RandomBiasedAI", "WorkerRush", "LightRush", "CoacAI"),
        35.0,
        EvaluationConfig(opponents=_SCRIPTED, modes=("sampled", "greedy")),
    )


def _microrts_16x16_goes_on(recipe: str, hardware: str, opponents: tuple[str, ...], minutes: float) -> TrainConfig:
    """Return a run on the 16x16 map for an agent that knows something of the game, in games of full length."""
    evaluation = EvaluationConfig(opponents=(*_SCRIPTED, "Rojo", "mayari"), max_steps=4000, modes=("sampled", "greedy"))
    config = _microrts(recipe, hardware, _16X16, opponents, minutes, evaluation, max_steps=4000)
    return replace(config, checkpoint_interval_updates=150, total_steps=1_000_000_000)


def microrts_16x16_1gpu() -> TrainConfig:
    """Go on from imitated games (--init) on the 16x16 map, against those AIs that are needed most and oneself."""
    config = _microrts_16x16_goes_on(
        "microrts_16x16_1gpu", "1 GPU and 16 CPU cores, 10 minutes", _SPARRING_PARTNERS, minutes=8.2
    )
    # Few and large minibatches: what a step of the optimiser costs a GPU depends little on their size.
    learner = replace(
        config.learner,
        learning_rate=7e-4,
        final_learning_rate=1e-4,
        num_epochs=2,
        num_minibatches=2,
        entropy_cost=0.015,
    )
    return replace(
        config,
        learner=learner,
        actors=replace(config.actors, num_actors=14),
        league=LeagueConfig(deal="prioritised", mix_share=0.3),
        unrolls_per_update=4,
    )


def microrts_16x16_strong() -> TrainConfig:
    """Make an agent that plays the 16x16 map already (--init) win there surely."""
    config = _microrts_16x16_goes_on("microrts_16x16_strong", "2 CPU cores, 65 minutes", _HARDEST_TO_BEAT, minutes=62.0)
    # Larger minibatches and smaller steps than a beginner's: what it can do already is to be kept.
    learner = replace(
        config.learner,
        learning_rate=3e-4,
        final_learning_rate=3e-5,
        num_minibatches=2,
        entropy_cost=0.012,
    )
    return replace(
        config,
        learner=learner,
        # One side of one AI may be all that is left to learn: it gets half of the games, not nearly all.
        league=LeagueConfig(deal="prioritised", hardness=1.0, mix_share=0.4),
        unrolls_per_update=2,
    )


def gymnasium() -> TrainConfig:
    """Learn any Gymnasium environment: pass its id as --env-id."""
    return TrainConfig(
        recipe="gymnasium",
        hardware="2 CPU cores, 2 minutes for CartPole-v1",
        environment=GymnasiumConfig(env_id="CartPole-v1"),
        agent=AgentConfig(channels=32, num_latents=1, num_layers=1, num_heads=1, num_cross_attention_heads=1),
        learner=LearnerConfig(
            learning_rate=1e-3,
            final_learning_rate=1e-4,
            num_epochs=4,
            num_minibatches=4,
            huber_delta=None,
            entropy_cost=0.002,
            normalise_values=True,
            rho_weighted_advantages=False,
            advantage_floor=0.01,
        ),
        # An actor plays several times faster than four epochs learn: the least policy lag costs no speed.
        actors=ActorConfig(num_actors=1, games_per_actor=64, unroll_length=32, queue_size=0),
        unrolls_per_update=1,
        total_steps=250_000,
    )


def tiny() -> TrainConfig:
    """A few updates on the 8x8 map, for tests."""
    return TrainConfig(
        recipe="tiny",
        hardware="any, seconds",
        environment=MicroRTSConfig(map_path=_8X8, max_steps=200),
        agent=AgentConfig.of_size("dummy"),
        learner=LearnerConfig(num_epochs=1, num_minibatches=2),
        actors=ActorConfig(num_actors=1, games_per_actor=4, unroll_length=16),
        evaluation=EvaluationConfig(opponents=("RandomBiasedAI",), games=4, max_steps=200),
        total_steps=2_000,
        unrolls_per_update=1,
        checkpoint_interval_updates=5,
    )


RECIPES: dict[str, Callable[[], TrainConfig]] = {
    recipe.__name__: recipe
    for recipe in (
        quickstart,
        microrts_8x8,
        microrts_16x16,
        microrts_16x16_1gpu,
        microrts_16x16_strong,
        gymnasium,
        starcraft2_tiny,
        starcraft2_minigame,
        starcraft2_simple64_1gpu,
        tiny,
    )
}


def get_recipe(name: str) -> TrainConfig:
    """Return the config of a recipe.

    Raises:
        UnknownNameError: if there is none of that name, with close matches.
    """
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, RECIPES, hint=f"({', '.join(RECIPES)})")
    return RECIPES[name]()

"""Any Gymnasium environment as a batched environment in our observation and action layout."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import error
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from envs.errors import UnknownNameError
from envs.gymnasium_actions import ActionDecoder, flat_action_mask
from envs.gymnasium_cartpole import CartPoleBatch, cartpole_batch
from envs.gymnasium_observations import ObservationEncoder
from envs.spaces import ACTION_MASK

logger = logging.getLogger(__name__)

Array = NDArray[Any]
EnvFactory = Callable[..., gymnasium.Env[Any, Any]]


class GymnasiumVectorEnv(VectorEnv[dict[str, Array], Array, Array]):
    """N copies of a Gymnasium environment, without automatic resets.

    Observations become `scalars` and `planes` (`ObservationEncoder` says how), `info["action_mask"]` becomes
    `action_mask`, and actions are those of `ActionDecoder`. A row whose episode has ended stays as it is, its final
    observation included, until `reset(options={"reset_mask": ...})` names it.

    `infos` of a step: `reward_terms` float32 [N, 1], `elapsed_steps` int32 [N], and `outcome` int8 [N], the sign of the
    episode's return where it has ended. All returned arrays are reused by the next call.

    Attributes:
        reward_term_names: ("reward",).
        reward_weights: float32 [1], one.
        has_time_limit: whether Gymnasium ends episodes that become too long.
    """

    envs: Sequence[gymnasium.Env[Any, Any]] = ()  # until they are made: older Gymnasium closes what was not

    def __init__(
        self, env_id_or_factory: str | EnvFactory, num_envs: int, *, seed: int = 0, **make_kwargs: Any
    ) -> None:
        """Make the environments.

        Args:
            env_id_or_factory: an id known to `gymnasium.make` ("module:Name-v0" imports the module first), or a
                function that returns a new environment at each call.
            seed: row i draws its episodes from seed + i, unless `reset` is given another seed.
            make_kwargs: passed to `gymnasium.make` or to the function.

        Raises:
            UnknownNameError: if there is no environment of that id.
            ValueError: if a space is not supported, or the environment does not take `make_kwargs`.
        """
        if num_envs < 1:
            raise ValueError(f"num_envs must be at least 1, got {num_envs}")
        self.num_envs = num_envs
        self._batch: CartPoleBatch | None = None
        if isinstance(env_id_or_factory, str):
            self._batch = cartpole_batch(env_id_or_factory, num_envs, make_kwargs)
        if self._batch is None:
            self.envs = _make_all(env_id_or_factory, num_envs, make_kwargs)
        game = self._batch or self.envs[0]
        try:
            self._decoder = ActionDecoder(game.action_space, num_envs)
            self._encoder = ObservationEncoder(game.observation_space, num_envs, self._decoder.mask_shape)
            self._masks = self._probe_action_mask(seed)
        except BaseException:
            self.close()
            raise
        self.single_observation_space = self._encoder.space
        self.single_action_space = self._decoder.space
        self.single_action_space.seed(seed)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        render_mode = self.envs[0].render_mode if self.envs else None
        self.render_mode = render_mode
        self.metadata = {**(self.envs[0].metadata if self.envs else {}), "autoreset_mode": AutoresetMode.DISABLED}
        self.reward_term_names: tuple[str, ...] = ("reward",)
        self.reward_weights = np.ones(1, np.float32)
        spec = self.envs[0].spec if self.envs else None
        self.has_time_limit = self._batch is not None or (spec is not None and spec.max_episode_steps is not None)
        self._next_seeds: list[int | None] = [seed + row for row in range(num_envs)]
        self._ended = np.ones(num_envs, bool)
        self._started = False
        self._returns = np.zeros(num_envs)
        self._rewards = np.zeros(num_envs, np.float32)
        self._terminated, self._truncated = np.zeros(num_envs, bool), np.zeros(num_envs, bool)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Array], dict[str, Any]]:
        """Start new episodes and return all observations.

        Args:
            seed: row i is seeded with seed + i, or with its own entry of a list; None goes on with the rows'
                generators.
            options: `reset_mask` bool [N] names the rows to reset (default all); the rest goes to the environments.

        Raises:
            ValueError: if the mask or the seeds have another shape.
        """
        others = dict(options or {})
        rows = self._rows_to_reset(others.pop("reset_mask", None))
        seeds = self._next_seeds if seed is None else self._seeds(seed)
        if self._batch is not None:
            self._encoder.write(slice(None), self._batch.reset(rows, seeds, others or None))
        for row in rows if self._batch is None else ():
            observation, info = self.envs[row].reset(seed=seeds[row], options=others or None)
            self._encoder.write(row, observation)
            self._write_action_mask(row, info)
        self._ended[rows] = False
        self._returns[rows] = 0
        for row in rows:
            self._next_seeds[row] = None
        self._started = True
        return self._encoder.finish(), {}

    def step(self, actions: Array) -> tuple[dict[str, Array], Array, Array, Array, dict[str, Any]]:
        """Step every row whose episode goes on.

        Returns:
            Observations, rewards float32 [N], terminated bool [N], truncated bool [N], infos.

        Raises:
            ValueError: if an action is not legal, or there was no `reset` before.
        """
        if not self._started:
            raise ValueError("step needs an episode: call reset() first")
        choices = self._decoder.decode(actions)
        live = ~self._ended
        if self._batch is not None:
            results = self._batch.step(np.asarray(choices), self._ended)
            observations, self._rewards[:], self._terminated[:], self._truncated[:] = results
            self._encoder.write(slice(None), observations)
        else:
            self._step_each(choices, live)
        self._returns += self._rewards
        over = self._terminated | self._truncated
        self._ended |= over
        infos = {
            "reward_terms": self._rewards[:, None],
            "elapsed_steps": live.astype(np.int32),
            "outcome": (np.sign(self._returns) * over).astype(np.int8),
        }
        return self._encoder.finish(), self._rewards, self._terminated, self._truncated, infos

    def render(self) -> tuple[Any, ...] | None:
        """Return one frame of each environment, or None where no render mode was asked for."""
        return tuple(env.render() for env in self.envs) if self.render_mode is not None else None

    def close_extras(self, **kwargs: Any) -> None:
        """Close the environments."""
        for env in self.envs:
            env.close()

    def _step_each(self, choices: list[Any], live: NDArray[np.bool_]) -> None:
        rewards, terminated, truncated, write = self._rewards, self._terminated, self._truncated, self._encoder.write
        for row, (env, choice, steps) in enumerate(zip(self.envs, choices, live.tolist(), strict=True)):
            if not steps:
                rewards[row], terminated[row], truncated[row] = 0, False, False
                continue
            observation, rewards[row], terminated[row], truncated[row], info = env.step(choice)
            write(row, observation)
            if self._masks:
                self._write_action_mask(row, info)

    def _probe_action_mask(self, seed: int) -> bool:
        """Return whether `info["action_mask"]` is to be read, and add the key to the observation if so."""
        if self._batch is not None or ACTION_MASK in self._encoder.arrays:
            return False
        _, info = self.envs[0].reset(seed=seed)
        if ACTION_MASK not in info:
            return False
        if self._decoder.mask_shape is None:
            logger.warning(
                "info['action_mask'] is ignored: masks do not apply to the action space %s", self._decoder.space
            )
            return False
        self._encoder.add_action_mask(self._decoder.mask_shape)
        return True

    def _write_action_mask(self, row: int, info: dict[str, Any]) -> None:
        if self._masks:
            mask = self._encoder.arrays[ACTION_MASK]
            mask[row] = flat_action_mask(info[ACTION_MASK], mask.shape[1:]) if ACTION_MASK in info else 1

    def _rows_to_reset(self, reset_mask: Any) -> NDArray[np.intp]:
        if reset_mask is None:
            return np.arange(self.num_envs)
        mask = np.asarray(reset_mask)
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_:
            raise ValueError(
                f"expected options['reset_mask'] bool [{self.num_envs}], got {mask.dtype} {list(mask.shape)}"
            )
        return np.flatnonzero(mask)

    def _seeds(self, seed: int | Sequence[int | None]) -> Sequence[int | None]:
        if isinstance(seed, int | np.integer):
            return [int(seed) + row for row in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise ValueError(f"expected one seed for each of the {self.num_envs} rows, got {len(seed)}")
        return seed


def _make_all(
    env_id_or_factory: str | EnvFactory, num_envs: int, make_kwargs: dict[str, Any]
) -> list[gymnasium.Env[Any, Any]]:
    if isinstance(env_id_or_factory, str):
        return [_make(env_id_or_factory, make_kwargs) for _ in range(num_envs)]
    envs = [env_id_or_factory(**make_kwargs) for _ in range(num_envs)]
    if len({id(env) for env in envs}) < num_envs:
        raise ValueError("the environment factory returned the same environment twice; return a new one at each call")
    return envs


def _make(env_id: str, make_kwargs: dict[str, Any]) -> gymnasium.Env[Any, Any]:
    try:
        return gymnasium.make(env_id, **make_kwargs)
    except (error.UnregisteredEnv, error.DeprecatedEnv) as reason:
        hint = "(ids of other packages are written module:Name-v0)"
        module, colon, _ = env_id.rpartition(":")
        known = [f"{module}{colon}{name}" for name in gymnasium.registry]
        raise UnknownNameError("environment", env_id, known, hint=hint) from reason
    except (error.Error, ModuleNotFoundError) as reason:
        raise ValueError(f"{env_id} can't be made: {reason}") from reason
    except TypeError as reason:
        raise ValueError(f"{env_id} does not take the options {make_kwargs}: {reason}") from reason

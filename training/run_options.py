"""The options of the commands that make runs: `train` and `imitate`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args

import tyro

from agent.config import AgentConfig, Size
from training.checkpoint_paths import latest_checkpoint
from training.config import ConfigError, TrainConfig, config_checked, dataclass_from_dict, from_dict
from training.imitation_config import IMITATION_KEY, ImitationConfig
from training.recipes import get_recipe
from training.run_directory import RunDirectory

DEFAULT_RECIPE = "quickstart"
DEFAULT_IMITATION_RECIPE = "microrts_16x16"


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where a run is, and whether it goes on."""

    run_dir: Path | None = None
    """Where everything about the run goes; by default runs/RECIPE-TIME."""
    resume: Literal["auto", "never"] = "never"
    """auto goes on with the run in --run-dir, with its own settings and those given here, or begins it."""
    agent_size: Size | None = None
    """The network in place of the recipe's; what --agent options say comes on top."""
    allow_version_mismatch: bool = False
    """Go on even if the game is another build than the one that a checkpoint or a recording was made with."""
    config: Annotated[TrainConfig, tyro.conf.arg(name="")]
    """The run."""

    @property
    def run_path(self) -> Path:
        """The run directory."""
        assert self.run_dir is not None
        return self.run_dir


@dataclass(frozen=True, kw_only=True)
class TrainOptions(RunOptions):
    """Train an agent, and measure it at the end. Every setting of the recipe can be given as an option.

    These are the options of the recipe that --recipe names, or of quickstart.
    """


@dataclass(frozen=True, kw_only=True)
class ImitateOptions(RunOptions):
    """Learn from recorded games what their players do, and measure it at the end.

    Game, network and evaluation are those of the recipe that --recipe names, or of microrts_16x16. Of its learner, step
    sizes, discounts and what concerns values count; its minutes and what plays in training (--actors, --league) do not.
    """

    imitation: Annotated[ImitationConfig, tyro.conf.arg(name="")]
    """What is imitated."""


def parse_train(arguments: list[str], prog: str) -> TrainOptions:
    """Return the options of `train`: a stored run's settings where it goes on, else the recipe's, and what was given.

    Raises:
        ConfigError: if a setting is out of its range.
        UnknownNameError: if there is no such recipe.
        RunDirectoryError: if the run to go on with cannot be read.
    """
    stored = _settings_to_go_on_with(arguments)
    if stored and IMITATION_KEY in stored:
        raise ConfigError(
            f"{_given(arguments, '--run-dir')} holds a run of imitate: go on with that command, or begin with its "
            "weights by --init and another --run-dir"
        )
    config = _config(arguments, stored, DEFAULT_RECIPE)
    with config_checked():
        options = tyro.cli(
            tyro.conf.AvoidSubcommands[TrainOptions], default=TrainOptions(config=config), args=arguments, prog=prog
        )
    return options if options.run_dir else replace(options, run_dir=_new_run_dir(config.recipe))


def parse_imitate(arguments: list[str], prog: str) -> ImitateOptions:
    """Return the options of `imitate`, as `parse_train` does those of `train`; errors are the same."""
    stored = _settings_to_go_on_with(arguments)
    if stored and IMITATION_KEY not in stored:
        raise ConfigError(
            f"{_given(arguments, '--run-dir')} holds a run of train: go on with that command, or give another --run-dir"
        )
    config = _config(arguments, stored, DEFAULT_IMITATION_RECIPE)
    if stored is None:
        config = replace(config, max_minutes=None)  # the recipe's are how long it plays
    with config_checked():
        imitation = ImitationConfig(data=tyro.MISSING)
        if stored:
            imitation = dataclass_from_dict(ImitationConfig, stored[IMITATION_KEY])
        options = tyro.cli(
            tyro.conf.AvoidSubcommands[ImitateOptions],
            default=ImitateOptions(config=config, imitation=imitation),
            args=arguments,
            prog=prog,
        )
    return options if options.run_dir else replace(options, run_dir=_new_run_dir(f"imitate-{config.recipe}"))


def _settings_to_go_on_with(arguments: list[str]) -> dict[str, Any] | None:
    """Return the settings that the run directory holds, where a run goes on."""
    if _given(arguments, "--resume") != "auto":
        return None
    run_dir = _given(arguments, "--run-dir")
    if run_dir is None:
        raise ConfigError("--resume auto needs the run to go on with: add --run-dir")
    directory = RunDirectory(Path(run_dir))
    if directory.config_file.is_file():
        return directory.read_config()
    if latest_checkpoint(directory.checkpoints):
        raise ConfigError(
            f"{directory.config_file} is missing, which holds the settings of the run there: copy it too, or begin a "
            f"new run with its weights by --init {run_dir} and another --run-dir"
        )
    return None


def _config(arguments: list[str], stored: Mapping[str, Any] | None, default_recipe: str) -> TrainConfig:
    """Return the stored config or that of the recipe, with the size of the agent that was given."""
    recipe, run_dir, size = (_given(arguments, name) for name in ("--recipe", "--run-dir", "--agent-size"))
    if stored is None:
        config = get_recipe(recipe or default_recipe)
    else:
        try:
            config = from_dict({name: value for name, value in stored.items() if name != IMITATION_KEY})
        except ValueError as error:
            raise ConfigError(f"cannot go on with {run_dir}: {error}") from error
        if recipe and recipe != config.recipe:
            raise ConfigError(
                f"{run_dir} holds a run of the recipe {config.recipe}, not {recipe}: give another --run-dir"
            )
    if size is None:
        return config
    if size not in get_args(Size):
        raise ConfigError(f"unknown agent size {size!r}: expected one of {', '.join(get_args(Size))}")
    return replace(config, agent=replace(AgentConfig.of_size(cast(Size, size)), torso=config.agent.torso))


def _new_run_dir(name: str) -> Path:
    return Path("runs") / f"{name}-{datetime.now().strftime('%Y%m%d-%H%M%S')}"


def _given(arguments: list[str], name: str) -> str | None:
    """Return the value of an option that decides what the others are; of several, the last counts, as everywhere."""
    spellings = (name, name.replace("-", "_").replace("__", "--", 1))
    for index, argument in reversed(list(enumerate(arguments))):
        option, equals, value = argument.partition("=")
        if option in spellings:
            return value if equals else next(iter(arguments[index + 1 :]), None)
    return None

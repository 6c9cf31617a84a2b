"""Configs come back from JSON and from the command line as they were."""

import dataclasses
import json

import pytest

from agent.config import AgentConfig
from training.config import from_dict, to_dict
from training.learner_config import LearnerConfig
from training.recipes import get_recipe
from training.run_options import parse_train


@pytest.mark.parametrize("trace_decay", [0.9, (0.9, 0.8, 0.7, 0.6, 0.5, 0.4)])
def test_one_lambda_or_one_for_each_term_comes_back_from_json(trace_decay: float | tuple[float, ...]) -> None:
    config = dataclasses.replace(
        get_recipe("tiny"),
        learner=LearnerConfig(trace_decay=trace_decay),
        agent=dataclasses.replace(AgentConfig.of_size("full"), selection="parallel"),
    )
    assert from_dict(json.loads(json.dumps(to_dict(config)))) == config


@pytest.mark.parametrize(("arguments", "expected"), [(["0.5"], (0.5,)), (["0.5", "0.25"], (0.5, 0.25))])
def test_lambdas_can_be_given_on_the_command_line(arguments: list[str], expected: tuple[float, ...]) -> None:
    options = parse_train(
        ["--recipe", "tiny", "--learner.trace-decay", *arguments, "--agent.selection", "parallel"], "train"
    )
    assert options.config.learner.trace_decays == expected
    assert options.config.agent.selection == "parallel"

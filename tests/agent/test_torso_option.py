"""`--agent.torso` in every recipe."""

from typing import get_args

import pytest

from perceiver_io import EntityTorsoKind
from training.recipes import RECIPES
from training.run_options import parse_train


@pytest.mark.parametrize("torso", get_args(EntityTorsoKind))
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_takes_every_torso(recipe: str, torso: str) -> None:
    options = parse_train(["--recipe", recipe, "--agent.torso", torso], "train")
    assert options.config.agent.torso == torso

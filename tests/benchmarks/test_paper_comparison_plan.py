"""What the paper's comparison trains."""

from __future__ import annotations

import dataclasses
from types import ModuleType

import pytest


def test_variants_differ_in_the_torso_alone(plan: ModuleType) -> None:
    """A variant is the base with what its name says; everything that is no part of the torso is equal."""
    base = dataclasses.asdict(plan.VARIANTS[plan.PERCEIVER])
    torso = {"torso", "num_latents", "decoder_query_residual", "entity_queries", "neighbourhood_radius"}
    seen = set()
    for name, config in plan.VARIANTS.items():
        changed = {key for key, value in dataclasses.asdict(config).items() if value != base[key]}
        assert changed <= torso, name
        seen.add(config)
    assert len(seen) == len(plan.VARIANTS)
    assert {plan.VARIANTS[f"perceiver_{n}"].num_latents for n in (8, 16, 32, 64)} == {8, 16, 32, 64}


def test_the_telling_pair_comes_first_on_every_map_with_all_its_seeds(plan: ModuleType) -> None:
    cells = plan.plan_cells(["small", "large"], list(plan.VARIANTS), [1, 2, 3])
    assert len(cells) == len(set(cells)) == 2 * 3 * len(plan.VARIANTS)
    assert {cell.variant for cell in cells[:6]} == {plan.PERCEIVER, plan.TRANSFORMER}
    assert {cell.seed for cell in cells[:6]} == {1, 2, 3}
    assert {cell.map for cell in cells[: len(cells) // 2]} == {"small"}
    assert len({cell.path for cell in cells}) == len(cells)


@pytest.mark.parametrize(("maps", "variants"), [(["huge"], ["transformer"]), (["small"], ["lstm"])])
def test_what_is_not_in_the_comparison_is_an_error(plan: ModuleType, maps: list[str], variants: list[str]) -> None:
    with pytest.raises(ValueError, match=r"expected a (map|variant) of .*got '(huge|lstm)'"):
        plan.plan_cells(maps, variants, [1])

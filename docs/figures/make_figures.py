"""Draws the pictures of perceiver_io's pages.

python docs/figures/make_figures.py

What is shown is computed by the library: models are trained for seconds, with fixed seeds, and operations are counted.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import figures_of_costs
import figures_of_models
import figures_of_tasks
import torch
from figure_style import save, styled
from matplotlib.figure import Figure

FIGURES: dict[str, Callable[[bool], Figure]] = {
    "encode_process_decode": figures_of_models.encode_process_decode,
    "queries": figures_of_models.queries,
    "entity_list": figures_of_models.entity_list,
    "any_queries": figures_of_models.any_queries,
    "perceiver_2021": figures_of_models.perceiver_2021,
    "own_agent": figures_of_models.own_agent,
    "masked_bytes": figures_of_tasks.masked_bytes,
    "image_positions": figures_of_tasks.image_positions,
    "flow_stitching": figures_of_tasks.flow_stitching,
    "modalities": figures_of_tasks.modalities,
    "published_parameters": figures_of_costs.published_parameters,
    "set_models": figures_of_costs.set_models,
    "padding": figures_of_costs.padding,
}


def main() -> None:
    """Draw all pictures, or those named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(FIGURES), help=f"some of {', '.join(FIGURES)}")
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "images", help="folder")
    parser.add_argument("--quick", action="store_true", help="hardly train and count little, to try the script")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(FIGURES))
    if unknown:
        parser.error(f"no such picture: {', '.join(unknown)}; there are {', '.join(FIGURES)}")
    options.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for name in options.names:
        torch.manual_seed(0)
        with styled():
            save(FIGURES[name](options.quick), options.output / f"{name}.png")


if __name__ == "__main__":
    main()

"""What the comparison's page says in words: the question, how things are counted, and verdicts on figures."""

from __future__ import annotations

import math
import textwrap
from typing import Any

from paper_comparison_plan import LOOKS, PERCEIVER, TRANSFORMER, VARIANTS
from paper_comparison_results import Difference
from paper_comparison_statistics import Estimate

NOT_WORSE = -0.02
"""Of a win rate: what may be missing to the transformer's."""
SHARE_OF_FLOPS = 1 / 3

HEAD = """\
# Perceiver IO against AlphaStar's transformer, on a real game

The [paper](https://arxiv.org/abs/2107.14795) puts Perceiver IO in the place of AlphaStar's entity transformer: after
behaviour cloning it beats the Elite bot as often (0.87), with 3.5 times fewer FLOPs in that part, and a training step
takes as long as before. It does not tell seeds, spread or the width of the latents. Here the same is tried on µRTS: one
agent, the same recorded games in the same order, the same number of steps, and nothing different but the torso.
`benchmarks/paper_comparison_report.py` writes this page from the files of a run.
"""

HOW_COUNTED = """\
## How it is counted

* **Agents.** 64 channels, 3 layers, 2 heads, no core. The transformer is AlphaStar's at a quarter of its width (256
  hidden channels). Perceiver IO reads the list into latents of 32 channels and thinks in 3 layers; the width was chosen
  by its FLOPs before anything was trained. The Set Transformer has 32 inducing points in a layer; cosFormer goes
  without re-weighting by position.
* **Tuned.** {heads} heads read the list and the latents, where the paper has one, the hidden layer of the latents' MLPs
  is {widening} times as wide as they are, and the learning rate falls to nought, for all variants alike. This is the
  last of four configurations that were run on the small map, and the only one on the large map:
  [what each gave](../benchmarks/README.md#paper_comparison). The transformer was not tuned.
* **Encoder FLOPs.** What gives each unit of a list of the mean length its embedding: Perceiver IO reads the list and
  answers one query for each unit; the others' outputs are the embeddings. Multiplications and additions count apart;
  softmax, norms and lookups do not count. torch counts (`benchmarks/flops.py`), and a test holds it to the formulas.
  Agent FLOPs are those of the learner's forward pass for a recorded observation, with the queries that the agent really
  asks, as a CPU does it: there some linear maps are folded into each other where latents or inducing points are few.
* **A third** of the transformer's operations is close to what the paper found, 3.5 times fewer.
* **Short lists.** Latents cost the same however short a list is, so 32 of them save nothing on a few units, where 8 or
  16 do; the picture shows from where on 32 do. The large map is large by its lists: on the widest maps, of 32 x 32 and
  64 x 64 cells, there are 14 to 26 units; `wide` is chambers32x32, the fullest of them. On `longest`,
  EightBasesWorkers16x16, where lists are longest, nothing is trained: [clones are too weak
  there](../benchmarks/README.md#paper_comparison).
* **Accuracy** is the share of held-out decisions that the clone would most likely have made. On the large map nearly
  all units wait nearly always, so that it hardly tells clones apart; that of orders leaves the waits out.
* **Speeds** are observations for each second that one core works on them, by one thread: a training step forward and
  backward, and an acting step on 32 observations at once.
{intervals}
* **Not worse** means that the whole interval over seeds lies above -2 points; one that holds -2 leaves it open. Where
  the widened interval says otherwise, the verdict tells both.

![Encoder FLOPs over the length of the list](images/paper_comparison_flops.png)
"""

ABLATION_PAIRS = (
    ("32 latents against 8", PERCEIVER, "perceiver_8"),
    ("32 latents against 16", PERCEIVER, "perceiver_16"),
    ("32 latents against 64", PERCEIVER, "perceiver_64"),
    ("query residual", PERCEIVER, "no_query_residual"),
    ("queries from the units' tokens, not of slots (scatter off on both)", "no_scatter", "slot_queries_no_scatter"),
    ("scatter connection, Perceiver IO", PERCEIVER, "no_scatter"),
    ("scatter connection, transformer", TRANSFORMER, "transformer_no_scatter"),
)
"""What is asked, the variant with it and the one without."""


def how_counted() -> str:
    """Return how things are counted."""
    perceiver = VARIANTS[PERCEIVER]
    return HOW_COUNTED.format(
        heads=perceiver.num_cross_attention_heads, widening=perceiver.widening_factor, intervals=_intervals()
    )


def _intervals() -> str:
    looks = [f"{len(when)} times on the {name} map ({', '.join(when)})" for name, when in LOOKS.items()]
    text = (
        "* **Intervals.** *Over seeds*: Student's, of one mean win rate for each seed; for a difference, of the "
        "difference within each seed that both have. It says whether other trainings would come out alike, and is "
        "wide with three seeds. All learn from one recording, each seed in an order of its own, and meet the same "
        "games at the end: what another recording would give is left out. *Widened*: where results were looked at "
        f"several times, {' and '.join(looks)}, at 1 - 0.05 / looks (Bonferroni), so that the best of them passes by "
        "luck no oftener than one would. *Over games*: for these very agents, only the games are left to chance. For "
        "one AI: Wilson's, the games of all seeds together; how much seeds differ is left out, and it is too narrow "
        "to compare variants by."
    )
    return textwrap.fill(text, 120, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def paragraph(*sentences: str) -> list[str]:
    """Return sentences as the lines of a paragraph, and an empty one."""
    return [*textwrap.wrap(" ".join(sentences), 120, break_long_words=False, break_on_hyphens=False), ""]


def verdict_on_win_rate(found: Difference | None) -> tuple[str, str]:
    """Return figures and verdict on a difference of mean win rates."""
    if found is None:
        return "", "not run"
    figures = f"{found.over_seeds.percent()} points over seeds; {found.over_games.percent()} over games"
    if math.isnan(found.over_seeds.low):
        return figures, "one seed: nothing can be said"
    verdict = _judged(found.over_seeds)
    if found.widened is not None:
        figures += f"; {found.widened.percent()} over seeds, widened for {found.looks} looks"
        if (widened := _judged(found.widened)) != verdict:
            verdict = f"{verdict}; {widened.partition(':')[0]} where it is widened"
    if found.over_telling is not None:
        figures += f"; over {', '.join(found.telling)} alone {found.over_telling.percent()} over seeds"
    return figures, verdict


def _judged(interval: Estimate) -> str:
    if interval.low >= NOT_WORSE:
        return "**not worse**: all of the interval lies above -2"
    if interval.high < NOT_WORSE:
        return "**worse**: all of the interval lies below -2"
    return "**open**: the interval reaches above -2, and below"


def verdict_on_flops(costs: dict[str, Any]) -> tuple[str, str]:
    """Return figures and verdict on the share of the transformer's operations."""
    ours, theirs = (costs["variants"][name]["encoder_flops"] for name in (PERCEIVER, TRANSFORMER))
    share, units = ours / theirs, costs["lengths"]["mean"]
    figures = f"{ours / 1e6:.2f} of {theirs / 1e6:.2f} MFLOP at {units:.0f} units, a share of {share:.2f}"
    if share >= 1:
        return figures, "**no saving**"
    return figures, "**at most a third**" if share <= SHARE_OF_FLOPS else "**more than a third**"


def verdict_on_speed(costs: dict[str, Any], name: str) -> tuple[str, str]:
    """Return figures and verdict on how many times the transformer's speed ours is."""
    ours, theirs = (costs["variants"][variant][name] for variant in (PERCEIVER, TRANSFORMER))
    return f"{ours:,.0f} against {theirs:,.0f} steps a core-second", f"{ours / theirs:.1f} times the transformer's"

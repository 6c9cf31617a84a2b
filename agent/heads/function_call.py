"""Calls of functions with arguments, decided one after another: each argument knows those before it."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from agent.action_spec import DECODING_ORDER, FunctionCallSpec
from agent.config import AgentConfig
from agent.distributions import MaskedCategorical
from agent.heads.arguments import (
    ArgumentHead,
    ChoiceHead,
    DecisionContext,
    Readers,
    Taken,
    TakenChoice,
    choice_embedding,
)
from agent.heads.parallel_selection import ParallelSelection
from agent.heads.pointer import PointerSelection, TargetPointer
from agent.heads.policy import Evaluation
from agent.heads.target_point import TargetPointHead
from agent.interface import Part
from agent.residual import GatedLinearUnit, ResidualBlock
from envs.function_calls import FUNCTION, SELECTED, TARGET_ENTITY, TARGET_POINT


class FunctionHead(nn.Module):
    """AlphaStar's action type head: residual blocks, then a linear unit whose inputs the scalars gate."""

    def __init__(self, num_functions: int, config: AgentConfig) -> None:
        super().__init__()
        self.input = nn.Linear(config.channels, config.head_channels)
        self.blocks = nn.Sequential(*(ResidualBlock(config.head_channels) for _ in range(config.function_blocks)))
        self.output = GatedLinearUnit(config.head_channels, config.channels, num_functions)
        nn.init.orthogonal_(self.output.output.weight, 0.01)
        nn.init.zeros_(self.output.output.bias)

    def forward(self, output: Float[Tensor, "X C"], gate: Float[Tensor, "X C"]) -> Float[Tensor, "X A"]:
        """Return the logits of all functions."""
        logits: Tensor = self.output(F.relu(self.blocks(self.input(output))), gate)
        return logits


class FunctionCallHead(nn.Module):
    """Function, delay, queued, repeat, selected units, target entity and target point, in that order.

    The query of an argument is a learned one plus what the core remembers plus the embeddings of the function and of
    the arguments before it that the function reads. The torso answers each by one more cross-attention; in learning,
    where all arguments are known, all at once.
    """

    readers: Tensor

    def __init__(self, spec: FunctionCallSpec, config: AgentConfig, *, has_feature_map: bool) -> None:
        super().__init__()
        self.spec = spec
        self.function = FunctionHead(spec.num_functions, config)
        self.function_embedding = choice_embedding(spec.num_functions, config.channels)
        names = [name for name in DECODING_ORDER if any(name in read for read in spec.arguments)]
        self.arguments = nn.ModuleDict()
        for name in names:
            embeds = any(name in read[:-1] for read in spec.arguments)
            self.arguments[name] = _argument_head(name, spec, config, embeds=embeds, has_feature_map=has_feature_map)
        self.register_buffer("readers", torch.tensor([spec.readers(name) for name in names]), persistent=False)
        self.embeds = [any(name in read[:-1] for read in spec.arguments) for name in names]
        self.queries = nn.Parameter(torch.empty(len(names), config.channels))
        nn.init.trunc_normal_(self.queries, std=0.02)
        self.norm = nn.LayerNorm(config.channels)

    def forward(self, context: DecisionContext) -> FunctionCallPolicy:
        """Return the policy of the decisions."""
        return FunctionCallPolicy(self, context)

    def embed_function(self, context: DecisionContext, function: Int[Tensor, " X"]) -> Float[Tensor, "X C"]:
        """Return what all arguments' queries have in common."""
        embedded: Tensor = self.function_embedding(function)
        return embedded if context.core is None else embedded + context.core


def _argument_head(
    name: str, spec: FunctionCallSpec, config: AgentConfig, *, embeds: bool, has_feature_map: bool
) -> ArgumentHead:
    if name == SELECTED:
        selection = PointerSelection if config.selection == "pointer" else ParallelSelection
        return selection(spec, config, embeds=embeds)
    if name == TARGET_ENTITY:
        return TargetPointer(spec, config, embeds=embeds)
    if name == TARGET_POINT:
        return TargetPointHead(spec.point_shape, config, has_feature_map=has_feature_map)
    return ChoiceHead(spec.size(name), config.channels, config.head_channels, name=name, embeds=embeds)


class FunctionCallPolicy:
    """A `Policy` of X function calls."""

    def __init__(self, head: FunctionCallHead, context: DecisionContext) -> None:
        self._head, self._context = head, context
        self._function = MaskedCategorical(
            head.function(context.output, context.gate), context.action_mask, name="function"
        )
        self._heads: list[tuple[str, ArgumentHead]] = list(head.arguments.items())  # type: ignore[arg-type]
        self._keys = [argument.keys(context.entities) for _, argument in self._heads]

    def act(self, generator: torch.Generator | None = None, *, greedy: bool = False) -> tuple[Tensor, Tensor]:
        """Return actions [X, 6 + K], each part drawn (or the most likely one) given those before it, and log p [X]."""
        head, context = self._head, self._context
        function = self._function.choose(generator, greedy=greedy)
        action = torch.from_numpy(head.spec.idle_actions(len(function))).to(function.device)
        action[:, 0] = function
        log_prob = self._function.log_prob(function)
        embedding = head.embed_function(context, function)
        for position, (name, argument) in enumerate(self._heads):
            readers = self._readers(position, function)
            if not len(readers):
                continue
            queries = (head.queries[position] + embedding[readers.index])[:, None]
            output = head.norm(readers.ask(queries))[:, 0]
            value, value_log_prob = argument.act(output, readers, generator, greedy=greedy)
            action[readers.index, head.spec.columns(name)] = value
            log_prob = log_prob.index_add(0, readers.index, value_log_prob)
            if head.embeds[position]:
                embedding = embedding.index_add(0, readers.index, argument.embed(readers, value))
        return action, log_prob

    def evaluate(
        self, action: Tensor, teacher: FunctionCallPolicy | None = None, *, with_parts: bool = False
    ) -> Evaluation:
        """Return what the learner needs of the actions [X, 6 + K] that were taken; see `Evaluation` for what is summed.

        Parts of an action that its function does not read have no effect.
        """
        taken = self._taken(action)
        zero = torch.zeros_like(self._context.output[:, 0])
        log_prob, entropy = zero, zero
        for rows, part in taken.values():
            log_prob = log_prob.index_add(0, rows, part.log_prob())
            entropy = entropy.index_add(0, rows, part.entropy())
        parts = {name: _spread(rows, part, like=zero) for name, (rows, part) in taken.items()} if with_parts else {}
        if teacher is None:
            return Evaluation(log_prob, entropy, parts=parts)
        with torch.no_grad():
            references = teacher._taken(action)
        kl = zero
        for name, (rows, part) in taken.items():
            kl = kl.index_add(0, rows, part.kl(references[name][1]))
        return Evaluation(log_prob, entropy, kl, parts)

    def _taken(self, action: Tensor) -> dict[str, tuple[Int[Tensor, " Y"], Taken]]:
        """Return, for the function and every argument, which decisions read it and along what it was chosen."""
        head, function = self._head, action[:, 0]
        everyone = torch.arange(len(function), device=function.device)
        taken: dict[str, tuple[Tensor, Taken]] = {FUNCTION: (everyone, TakenChoice(self._function, function))}
        embedding = head.embed_function(self._context, function)
        all_readers, queries = [], []
        for position, (name, argument) in enumerate(self._heads):
            queries.append(head.queries[position] + embedding)
            readers = self._readers(position, function)
            all_readers.append(readers)
            if head.embeds[position] and len(readers):
                value = action[readers.index, head.spec.columns(name)]
                embedding = embedding.index_add(0, readers.index, argument.embed(readers, value))
        asked: Bool[Tensor, "X Q"] = head.readers[:, function].T
        outputs = head.norm(self._context.ask(torch.stack(queries, 1), everyone, asked))
        for position, ((name, argument), readers) in enumerate(zip(self._heads, all_readers, strict=True)):
            if len(readers):
                value = action[readers.index, head.spec.columns(name)]
                taken[name] = (readers.index, argument.taken(outputs[readers.index, position], readers, value))
        return taken

    def _readers(self, position: int, function: Int[Tensor, " X"]) -> Readers:
        """Return the decisions whose function reads the argument."""
        index = self._head.readers[position, function].nonzero()[:, 0]
        return Readers(self._context, index, function[index], self._keys[position])


def _spread(rows: Int[Tensor, " Y"], taken: Taken, like: Float[Tensor, " X"]) -> Part:
    """Return a part of X actions from that of the Y which have it."""
    no = torch.zeros_like(like, dtype=torch.bool)
    log_prob = torch.zeros_like(like).index_copy(0, rows, taken.log_prob())
    return Part(no.index_fill(0, rows, True), log_prob, no.index_copy(0, rows, taken.likeliest()))

"""The arguments of function calls: what their heads read and offer, and the head of arguments with few choices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from agent.distributions import MaskedCategorical
from agent.torso import Torso


@dataclass(frozen=True)
class DecisionContext:
    """What X function calls are decided from.

    Attributes:
        output: what the torso answered to the decision query.
        gate: the scalars' token, or where there are none the output again.
        core: what the core remembers; None without one.
        entities: the entities as the torso sees them, padded; `entity_classes` are 0 in the padding.
        entity_classes: selection and target class of each.
        feature_map: planes and entities on a coarse map; None in games without planes.
        action_mask: functions that can be called.
        torso, memory, token_mask: what further queries are decoded from, a memory for each decision.
    """

    output: Float[Tensor, "X C"]
    gate: Float[Tensor, "X C"]
    core: Float[Tensor, "X C"] | None
    entities: Float[Tensor, "X E C"]
    entity_classes: Int[Tensor, "X E 2"]
    feature_map: Float[Tensor, "X F H W"] | None
    action_mask: Bool[Tensor, "X A"]
    torso: Torso
    memory: Tensor
    token_mask: Bool[Tensor, "X M"]

    def ask(
        self, queries: Float[Tensor, "Y Q C"], rows: Int[Tensor, " Y"], query_mask: Bool[Tensor, "Y Q"] | None = None
    ) -> Float[Tensor, "Y Q C"]:
        """Return the torso's answers to learned queries of the given decisions."""
        if query_mask is None:
            query_mask = torch.ones(queries.shape[:2], dtype=torch.bool, device=queries.device)
        token = torch.full(queries.shape[:2], -1, device=queries.device)
        return self.torso.decode(self.memory[rows], self.token_mask[rows], queries, query_mask, token)


@dataclass(frozen=True)
class Readers:
    """The Y decisions, by `index`, whose function reads an argument.

    Attributes:
        function: the function that each has chosen.
        keys: what the argument's head made of all decisions' entities, if anything; see `ArgumentHead.keys`.
    """

    context: DecisionContext
    index: Int[Tensor, " Y"]
    function: Int[Tensor, " Y"]
    all_keys: Float[Tensor, "X E P"] | None

    def __len__(self) -> int:
        """Return the number of decisions."""
        return len(self.index)

    @property
    def keys(self) -> Float[Tensor, "Y E P"]:
        """The entities' keys."""
        assert self.all_keys is not None
        return self.all_keys[self.index]

    @property
    def feature_map(self) -> Float[Tensor, "Y F H W"] | None:
        """The coarse map."""
        return None if self.context.feature_map is None else self.context.feature_map[self.index]

    def entity_classes(self, column: int) -> Int[Tensor, "Y E"]:
        """Return the entities' selection (0) or target (1) classes."""
        return self.context.entity_classes[self.index, :, column]

    def ask(self, queries: Float[Tensor, "Y Q C"]) -> Float[Tensor, "Y Q C"]:
        """Return the torso's answers to learned queries."""
        return self.context.ask(queries, self.index)


@runtime_checkable
class Taken(Protocol):
    """The distribution along which an argument of Y decisions was chosen, and what was chosen."""

    def log_prob(self) -> Float[Tensor, " Y"]:
        """Return the log-probability of what was chosen."""
        ...

    def entropy(self) -> Float[Tensor, " Y"]:
        """Return the entropy; of a choice in several steps, the sum over the steps as they were taken."""
        ...

    def kl(self, other: Any) -> Float[Tensor, " Y"]:
        """Return KL(self || other), over the steps as they were taken."""
        ...

    def likeliest(self) -> Bool[Tensor, " Y"]:
        """Return whether what was chosen is the most likely choice, in each of its steps as they were taken."""
        ...


class ArgumentHead(nn.Module):
    """Decides one argument from the torso's answer to its query.

    Entries of the action are `value` [Y, k]: one, or for the selection `max_selected`. Heads are made with `embeds`
    where a function reads a further argument after theirs.
    """

    def keys(self, entities: Float[Tensor, "X E C"]) -> Float[Tensor, "X E P"] | None:
        """Return what the head makes of all entities once, or None if it does not look at entities."""
        del entities
        return None

    def act(
        self, output: Float[Tensor, "Y C"], readers: Readers, generator: torch.Generator | None, *, greedy: bool
    ) -> tuple[Int[Tensor, "Y k"], Float[Tensor, " Y"]]:
        """Return the argument, drawn or the most likely one, and its log-probability."""
        raise NotImplementedError

    def taken(self, output: Float[Tensor, "Y C"], readers: Readers, value: Int[Tensor, "Y k"]) -> Taken:
        """Return the distribution along which the argument was chosen."""
        raise NotImplementedError

    def embed(self, readers: Readers, value: Int[Tensor, "Y k"]) -> Float[Tensor, "Y C"]:
        """Return the argument as a part of later arguments' queries; only where made with `embeds`."""
        raise NotImplementedError


@dataclass(frozen=True)
class TakenChoice:
    """One choice."""

    distribution: MaskedCategorical
    value: Int[Tensor, " Y"]

    def log_prob(self) -> Float[Tensor, " Y"]:
        """Return the log-probability of what was chosen."""
        return self.distribution.log_prob(self.value)

    def entropy(self) -> Float[Tensor, " Y"]:
        """Return the entropy."""
        return self.distribution.entropy()

    def kl(self, other: TakenChoice) -> Float[Tensor, " Y"]:
        """Return KL(self || other)."""
        return self.distribution.kl(other.distribution)

    def likeliest(self) -> Bool[Tensor, " Y"]:
        """Return whether it is the most likely choice."""
        return self.distribution.log_probs.argmax(-1) == self.value


class SingleChoiceHead(ArgumentHead):
    """An argument that is one choice."""

    def distribution(self, output: Float[Tensor, "Y C"], readers: Readers) -> MaskedCategorical:
        """Return the distribution of the argument."""
        raise NotImplementedError

    def act(
        self, output: Float[Tensor, "Y C"], readers: Readers, generator: torch.Generator | None, *, greedy: bool
    ) -> tuple[Int[Tensor, "Y 1"], Float[Tensor, " Y"]]:
        """Return the argument, drawn or the most likely one, and its log-probability."""
        distribution = self.distribution(output, readers)
        value = distribution.choose(generator, greedy=greedy)
        return value[:, None], distribution.log_prob(value)

    def taken(self, output: Float[Tensor, "Y C"], readers: Readers, value: Int[Tensor, "Y 1"]) -> Taken:
        """Return the distribution along which the argument was chosen."""
        return TakenChoice(self.distribution(output, readers), value[:, 0])


class ChoiceHead(SingleChoiceHead):
    """An argument with few choices, all of them legal: delay, queued, repeat. A perceptron with two hidden layers."""

    def __init__(self, number: int, channels: int, hidden_channels: int, *, name: str, embeds: bool) -> None:
        super().__init__()
        self.name = name
        self.layers = nn.Sequential(
            nn.Linear(channels, hidden_channels),
            nn.ReLU(),
            nn.Linear(hidden_channels, hidden_channels),
            nn.ReLU(),
            small_linear(hidden_channels, number),
        )
        self.embedding = choice_embedding(number, channels) if embeds else None

    def distribution(self, output: Float[Tensor, "Y C"], readers: Readers) -> MaskedCategorical:
        """Return the distribution of the argument."""
        del readers
        return MaskedCategorical(self.layers(output), None, name=self.name)

    def embed(self, readers: Readers, value: Int[Tensor, "Y 1"]) -> Float[Tensor, "Y C"]:
        """Return the argument as a part of later arguments' queries."""
        del readers
        assert self.embedding is not None
        embedded: Tensor = self.embedding(value[:, 0])
        return embedded


def small_linear(channels: int, output_channels: int) -> nn.Linear:
    """Return a linear map that starts close to zero, so that first choices are nearly uniform."""
    linear = nn.Linear(channels, output_channels)
    nn.init.orthogonal_(linear.weight, 0.01)
    nn.init.zeros_(linear.bias)
    return linear


def choice_embedding(number: int, channels: int) -> nn.Embedding:
    """Return a learned vector for each choice, of the size that a few of them may be added to a query."""
    embedding = nn.Embedding(number, channels)
    nn.init.normal_(embedding.weight, std=0.5)
    return embedding

"""The agent: AlphaStar's figure with Perceiver IO in the middle."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from agent.config import AgentConfig
from agent.core import LSTMCore
from agent.distributions import ComponentDistribution, GaussianDistribution
from agent.entity_encoder import EntityEncoder
from agent.heads import ActionHead
from agent.interface import AgentInput, AgentOutput, AgentSpec, UnrollOutput
from agent.queries import LearnedQueries, QueryBatch, concatenate, decision_queries
from agent.scalar_encoder import ScalarEncoder
from agent.spatial_encoder import NeighbourhoodEncoder, PlaneEncoder
from agent.torso import make_torso


class Agent(nn.Module):
    """Policy and value functions for one kind of game.

    Every modality becomes tokens; the torso reads them once; one query per value function, one per decision (a unit
    that awaits an order, or the whole observation) and one for the core are decoded from what it read.

    Args:
        spec: the game's observations and actions.
        config: sizes.
    """

    def __init__(self, spec: AgentSpec, config: AgentConfig) -> None:
        super().__init__()
        self.spec, self.config = spec, config
        width = config.channels
        if spec.entities is not None:
            self.entity_encoder = EntityEncoder(spec.entities, width)
            if config.neighbourhood_radius and spec.action.per_entity:
                self.neighbourhood_encoder = NeighbourhoodEncoder(
                    spec.entities, width, config.neighbourhood_radius, config.neighbourhood_channels
                )
        if spec.num_scalars:
            self.scalar_encoder = ScalarEncoder(spec.num_scalars, width)
        if spec.plane_shape is not None:
            # Beside entities, planes are background: one token is enough.
            most_patches = 8 if spec.entities is None else 1
            self.plane_encoder = PlaneEncoder(
                spec.plane_shape, width, plane_scales=spec.plane_scales, most_patches=most_patches
            )
        self.torso = make_torso(config)
        if config.core == "lstm":
            self.core_query = LearnedQueries(1, width)
            self.core = LSTMCore(width, config.core_channels, config.core_layers)
            self.core_context = nn.Linear(config.core_channels, width)
        self.value_queries = LearnedQueries(len(spec.reward_terms), width)
        self.decision_query = LearnedQueries(1, width)
        self.value_norm, self.decision_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.value_weight = nn.Parameter(torch.zeros(len(spec.reward_terms), width))
        self.value_bias = nn.Parameter(torch.zeros(len(spec.reward_terms)))
        self.action_head = ActionHead(spec.action, width)

    def initial_state(self, batch_size: int) -> Tensor:
        """Return the core state [B, ...] before an episode; [B, 0] without a core."""
        if self.config.core == "none":
            return self.value_bias.new_zeros(batch_size, 0)
        return self.core.initial_state(batch_size)

    def step(
        self,
        inputs: AgentInput,
        state: Tensor,
        is_first: Bool[Tensor, " N"],
        *,
        generator: torch.Generator | None = None,
        greedy: bool = False,
    ) -> AgentOutput:
        """Return an action for every decision of N observations, and the core state after them."""
        tokens, token_mask, entity_tokens = self._tokens(inputs)
        memory = self.torso.encode(tokens, token_mask)
        context = None
        if self.config.core == "lstm":
            output, state = self.core.step(self._core_input(memory, token_mask), state, is_first)
            context = self.core_context(output)
        values, policy = self._decode(inputs, memory, token_mask, entity_tokens, context)
        action = policy.mode() if greedy else policy.sample(generator)
        return AgentOutput(action=action, log_prob=policy.log_prob(action), values=values, state=state)

    def unroll(
        self,
        inputs: AgentInput,
        initial_state: Tensor,
        is_first: Bool[Tensor, "B T"],
        action: Tensor,
        *,
        teacher: Agent | None = None,
    ) -> UnrollOutput:
        """Return values [B, T, K], and the log-probability and entropy of each decision's action.

        Args:
            inputs: B*T observations, each sequence's T one after another.
            initial_state: core state [B, ...] before the first observation.
            action: [X, action_size] the actions that were taken.
            teacher: an agent to which the KL divergence of each decision is computed too.
        """
        values, policy = self._unroll_outputs(inputs, initial_state, is_first)
        kl = None
        if teacher is not None:
            with torch.no_grad():
                reference = teacher._unroll_outputs(inputs, teacher.initial_state(len(is_first)), is_first)[1]
            kl = policy.kl(reference)  # type: ignore[arg-type]
        batch, length = is_first.shape
        return UnrollOutput(values.view(batch, length, -1), policy.log_prob(action), policy.entropy(), kl)

    def _unroll_outputs(
        self, inputs: AgentInput, initial_state: Tensor, is_first: Tensor
    ) -> tuple[Tensor, ComponentDistribution | GaussianDistribution]:
        tokens, token_mask, entity_tokens = self._tokens(inputs)
        memory = self.torso.encode(tokens, token_mask)
        context = None
        if self.config.core == "lstm":
            core_input = self._core_input(memory, token_mask).view(*is_first.shape, -1)
            context = self.core_context(self.core.unroll(core_input, initial_state, is_first)).flatten(0, 1)
        return self._decode(inputs, memory, token_mask, entity_tokens, context)

    def _tokens(self, inputs: AgentInput) -> tuple[Float[Tensor, "N M C"], Bool[Tensor, "N M"], Tensor | None]:
        """Return all tokens, entities first, their mask, and the packed entity tokens [R, C]."""
        parts, masks, entity_tokens = [], [], None
        if inputs.entity_mask is not None:
            assert inputs.categories is not None
            assert inputs.values is not None
            assert inputs.positions is not None
            entity_tokens = self.entity_encoder(inputs.categories, inputs.values, inputs.positions)
            padded = entity_tokens.new_zeros(*inputs.entity_mask.shape, entity_tokens.shape[-1])
            padded[inputs.entity_mask] = entity_tokens
            parts.append(padded)
            masks.append(inputs.entity_mask)
        if inputs.scalars is not None:
            parts.append(self.scalar_encoder(inputs.scalars))
        if inputs.planes is not None:
            parts.append(self.plane_encoder(inputs.planes))
        for part in parts[len(masks) :]:
            masks.append(torch.ones(part.shape[:2], dtype=torch.bool, device=part.device))
        return torch.cat(parts, 1), torch.cat(masks, 1), entity_tokens

    def _core_input(self, memory: Tensor, token_mask: Tensor) -> Float[Tensor, "N C"]:
        query = self.core_query(len(memory))
        return self.torso.decode(memory, token_mask, query.queries, query.mask, query.token)[:, 0]

    def _decode(
        self,
        inputs: AgentInput,
        memory: Tensor,
        token_mask: Tensor,
        entity_tokens: Tensor | None,
        context: Tensor | None,
    ) -> tuple[Float[Tensor, "N K"], ComponentDistribution | GaussianDistribution]:
        """Decode the value queries and the decision queries; return values and policy."""
        queries = concatenate(
            self.value_queries(inputs.size, context), self._decision_queries(inputs, entity_tokens, context)
        )
        outputs = self.torso.decode(memory, token_mask, queries.queries, queries.mask, queries.token)
        num_values = len(self.spec.reward_terms)
        values = (self.value_norm(outputs[:, :num_values]) * self.value_weight).sum(-1) + self.value_bias
        decisions = outputs[:, num_values:][inputs.decision_sample, inputs.decision_slot]
        return values, self.action_head(self.decision_norm(decisions), inputs.action_mask)

    def _decision_queries(self, inputs: AgentInput, entity_tokens: Tensor | None, context: Tensor | None) -> QueryBatch:
        """Return each decision's query: learned, plus the unit's own token and surroundings where a unit decides."""
        rows = self.decision_query.weight.expand(len(inputs.decision_sample), -1)
        token = None
        if inputs.decision_entity is not None:
            assert entity_tokens is not None
            assert inputs.entity_mask is not None
            rows = rows + entity_tokens[inputs.decision_entity]
            token = self._token_index(inputs)
            if self.config.neighbourhood_radius:
                rows = rows + self._neighbourhood(inputs, entity_tokens)
        if context is not None:
            rows = rows + context[inputs.decision_sample]
        return decision_queries(rows, inputs, token)

    def _token_index(self, inputs: AgentInput) -> Tensor:
        """Return the padded token position of each deciding unit."""
        assert inputs.entity_mask is not None
        assert inputs.decision_entity is not None
        counts = inputs.entity_mask.sum(1)
        first_row = counts.cumsum(0) - counts
        return inputs.decision_entity - first_row[inputs.decision_sample]

    def _neighbourhood(self, inputs: AgentInput, entity_tokens: Tensor) -> Tensor:
        assert self.spec.entities is not None
        assert inputs.decision_entity is not None
        map_shape = (self.spec.entities.height, self.spec.entities.width)
        blocked = None
        if inputs.planes is not None and inputs.planes.shape[-2:] == map_shape:
            blocked = inputs.planes[:, 0]
        neighbourhood: Tensor = self.neighbourhood_encoder(
            entity_tokens, inputs.positions, inputs.entity_sample, inputs.decision_entity, blocked, inputs.size
        )
        return neighbourhood

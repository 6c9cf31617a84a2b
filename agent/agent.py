"""The agent: AlphaStar's figure with Perceiver IO in the middle."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from agent.config import AgentConfig
from agent.core import LSTMCore
from agent.entity_encoder import EntityEncoder
from agent.heads import ActionHead, FunctionCallHead, Policy
from agent.heads.arguments import DecisionContext
from agent.interface import AgentInput, AgentOutput, AgentSpec, UnrollOutput
from agent.map_encoder import MapEncoder
from agent.queries import LearnedQueries, QueryBatch, SlotVectors, concatenate, decision_queries, entity_queries
from agent.scalar_encoder import ScalarEncoder
from agent.spatial_encoder import NeighbourhoodEncoder, PlaneEncoder
from agent.torso import make_torso


@dataclass(frozen=True)
class _Tokens:
    """What the encoders made of N observations: all tokens, entities first, and the parts that are read again."""

    tokens: Float[Tensor, "N M C"]
    mask: Bool[Tensor, "N M"]
    entities: Float[Tensor, "R C"] | None
    scalars: Float[Tensor, "N 1 C"] | None
    feature_map: Float[Tensor, "N F H W"] | None


class Agent(nn.Module):
    """Policy and value functions for one kind of game.

    Every modality becomes tokens; the torso reads them once; one query per value function, one per decision (a unit
    that awaits an order, or the whole observation) and one for the core are decoded from what it read. Where functions
    are called, one query per entity and one per argument follow.

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
            if config.entity_queries == "slot":
                self.slot_vectors = SlotVectors(spec.entities.max_entities, width)
            if config.neighbourhood_radius and spec.action.per_entity:
                self.neighbourhood_encoder = NeighbourhoodEncoder(
                    spec.entities, width, config.neighbourhood_radius, config.neighbourhood_channels
                )
        if spec.num_scalars:
            self.scalar_encoder = ScalarEncoder(spec.num_scalars, width)
        if spec.plane_shape is not None and spec.action.function_call is not None:
            assert spec.entities is not None
            self.map_encoder = MapEncoder(
                spec.plane_shape,
                spec.entities,
                width,
                map_channels=config.map_channels,
                num_blocks=config.map_blocks,
                plane_scales=spec.plane_scales,
            )
        elif spec.plane_shape is not None:
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
        if spec.num_value_scalars:
            self.value_scalar_encoder = ScalarEncoder(spec.num_value_scalars, width)
        if spec.action.function_call is None:
            self.action_head = ActionHead(spec.action, width)
        else:
            self.entity_query, self.entity_norm = LearnedQueries(1, width), nn.LayerNorm(width)
            has_map = spec.plane_shape is not None
            self.call_head = FunctionCallHead(spec.action.function_call, config, has_feature_map=has_map)

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
        tokens = self._tokens(inputs)
        memory = self.torso.encode(tokens.tokens, tokens.mask)
        context = None
        if self.config.core == "lstm":
            output, state = self.core.step(self._core_input(memory, tokens.mask), state, is_first)
            context = self.core_context(output)
        values, policy = self._decode(inputs, tokens, memory, context)
        action, log_prob = policy.act(generator, greedy=greedy)
        return AgentOutput(action=action, log_prob=log_prob, values=values, state=state)

    def unroll(
        self,
        inputs: AgentInput,
        initial_state: Tensor,
        is_first: Bool[Tensor, "B T"],
        action: Tensor,
        *,
        teacher: Agent | None = None,
        teacher_state: Tensor | None = None,
        with_parts: bool = False,
    ) -> UnrollOutput:
        """Return values [B, T, K], and the log-probability and entropy of each decision's action.

        Args:
            inputs: B*T observations, each sequence's T one after another.
            initial_state: core state [B, ...] before the first observation.
            action: [X, action_size] the actions that were taken.
            teacher: an agent to which the KL divergence of each decision is computed too.
            teacher_state: the teacher's own core state [B, ...] before the first observation.
            with_parts: also tell the parts of the actions apart.
        """
        values, policy, state = self._unroll_outputs(inputs, initial_state, is_first)
        reference = None
        if teacher is not None:
            if teacher_state is None:
                teacher_state = teacher.initial_state(len(is_first))
            with torch.no_grad():
                reference = teacher._unroll_outputs(inputs, teacher_state, is_first)[1]
        taken = policy.evaluate(action, reference, with_parts=with_parts)
        batch, length = is_first.shape
        return UnrollOutput(
            values=values.view(batch, length, -1),
            log_prob=taken.log_prob,
            entropy=taken.entropy,
            kl=taken.kl,
            parts=taken.parts,
            state=state.detach(),
        )

    def remember(self, inputs: AgentInput, initial_state: Tensor, is_first: Bool[Tensor, "B T"], steps: int) -> Tensor:
        """Return the core state [B, ...] after the first `steps` of each sequence's T observations."""
        if self.config.core == "none":
            return initial_state
        tokens = self._tokens(inputs)
        memory = self.torso.encode(tokens.tokens, tokens.mask)
        core_input = self._core_input(memory, tokens.mask).view(*is_first.shape, -1)
        return self.core.unroll(core_input[:, :steps], initial_state, is_first[:, :steps])[1]

    def _unroll_outputs(
        self, inputs: AgentInput, initial_state: Tensor, is_first: Tensor
    ) -> tuple[Tensor, Policy, Tensor]:
        tokens = self._tokens(inputs)
        memory = self.torso.encode(tokens.tokens, tokens.mask)
        context, state = None, initial_state
        if self.config.core == "lstm":
            core_input = self._core_input(memory, tokens.mask).view(*is_first.shape, -1)
            output, state = self.core.unroll(core_input, initial_state, is_first)
            context = self.core_context(output).flatten(0, 1)
        return *self._decode(inputs, tokens, memory, context), state

    def _tokens(self, inputs: AgentInput) -> _Tokens:
        parts, masks, entities, scalars, feature_map = [], [], None, None, None
        if inputs.entity_mask is not None:
            assert inputs.categories is not None
            assert inputs.values is not None
            assert inputs.positions is not None
            entities = self.entity_encoder(inputs.categories, inputs.values, inputs.positions)
            padded = _padded(entities, inputs.entity_mask)
            slots = self.config.entity_queries == "slot"
            parts.append(self.slot_vectors.mark(padded, inputs.entity_mask) if slots else padded)
            masks.append(inputs.entity_mask)
        if inputs.scalars is not None:
            scalars = self.scalar_encoder(inputs.scalars)
            parts.append(scalars)
        if inputs.planes is not None and self.spec.action.function_call is not None:
            feature_map, patches = self.map_encoder(inputs.planes, entities, inputs.positions, inputs.entity_sample)
            parts.append(patches)
        elif inputs.planes is not None:
            parts.append(self.plane_encoder(inputs.planes))
        for part in parts[len(masks) :]:
            masks.append(torch.ones(part.shape[:2], dtype=torch.bool, device=part.device))
        return _Tokens(torch.cat(parts, 1), torch.cat(masks, 1), entities, scalars, feature_map)

    def _core_input(self, memory: Tensor, token_mask: Tensor) -> Float[Tensor, "N C"]:
        query = self.core_query(len(memory))
        return self.torso.decode(memory, token_mask, query.queries, query.mask, query.token)[:, 0]

    def _decode(
        self, inputs: AgentInput, tokens: _Tokens, memory: Tensor, context: Tensor | None
    ) -> tuple[Float[Tensor, "N K"], Policy]:
        """Decode the queries of values, decisions and, for function calls, entities; return values and policy."""
        queries = concatenate(
            self._value_queries(inputs, context), self._decision_queries(inputs, tokens.entities, context)
        )
        num_values, num_learned = len(self.spec.reward_terms), queries.mask.shape[1]
        if self.spec.action.function_call is not None:
            queries = concatenate(queries, self._entity_queries(inputs, tokens.tokens))
        outputs = self.torso.decode(memory, tokens.mask, queries.queries, queries.mask, queries.token)
        values = (self.value_norm(outputs[:, :num_values]) * self.value_weight).sum(-1) + self.value_bias
        decisions = self.decision_norm(outputs[:, num_values:num_learned][inputs.decision_sample, inputs.decision_slot])
        if self.spec.action.function_call is None:
            return values, self.action_head(decisions, inputs.action_mask)
        entities = outputs[:, num_learned:]
        return values, self.call_head(self._call_context(inputs, tokens, memory, context, decisions, entities))

    def _call_context(
        self,
        inputs: AgentInput,
        tokens: _Tokens,
        memory: Tensor,
        core: Tensor | None,
        decisions: Tensor,
        entities: Tensor,
    ) -> DecisionContext:
        """Return what the function calls are decided from; an observation has one decision or none."""
        assert inputs.entity_classes is not None
        assert inputs.entity_mask is not None
        assert inputs.action_mask is not None
        sample = inputs.decision_sample
        return DecisionContext(
            output=decisions,
            gate=decisions if tokens.scalars is None else tokens.scalars[sample, 0],
            core=None if core is None else core[sample],
            entities=self.entity_norm(entities[sample]),
            entity_classes=_padded(inputs.entity_classes, inputs.entity_mask)[sample],
            feature_map=None if tokens.feature_map is None else tokens.feature_map[sample],
            action_mask=inputs.action_mask,
            torso=self.torso,
            memory=memory[sample],
            token_mask=tokens.mask[sample],
        )

    def _value_queries(self, inputs: AgentInput, context: Tensor | None) -> QueryBatch:
        """Return the queries of the value functions: what only they see is added to them and reaches nothing else."""
        if inputs.value_scalars is not None:
            secret = self.value_scalar_encoder(inputs.value_scalars)[:, 0]
            context = secret if context is None else context + secret
        queries: QueryBatch = self.value_queries(inputs.size, context)
        return queries

    def _decision_queries(self, inputs: AgentInput, entity_tokens: Tensor | None, context: Tensor | None) -> QueryBatch:
        """Return each decision's query: learned, plus the unit's own part and surroundings where a unit decides."""
        rows = self.decision_query.weight.expand(len(inputs.decision_sample), -1)
        token = None
        if inputs.decision_entity is not None:
            assert entity_tokens is not None
            assert inputs.entity_mask is not None
            token = self._token_index(inputs)
            slots = self.config.entity_queries == "slot"
            rows = rows + (self.slot_vectors.query[token] if slots else entity_tokens[inputs.decision_entity])
            if self.config.neighbourhood_radius:
                rows = rows + self._neighbourhood(inputs, entity_tokens)
        if context is not None:
            rows = rows + context[inputs.decision_sample]
        return decision_queries(rows, inputs, token)

    def _entity_queries(self, inputs: AgentInput, tokens: Tensor) -> QueryBatch:
        """Return each entity's query, for function calls."""
        assert inputs.entity_mask is not None
        rows = self.slot_vectors.query if self.config.entity_queries == "slot" else tokens
        return entity_queries(rows[..., : inputs.entity_mask.shape[1], :], self.entity_query.weight, inputs)

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


def _padded(rows: Tensor, mask: Bool[Tensor, "N E"]) -> Tensor:
    """Return rows [R, ...] in their places [N, E, ...], zeros elsewhere."""
    padded = rows.new_zeros(*mask.shape, *rows.shape[1:])
    padded[mask] = rows
    return padded

"""AlphaStar-style agents on a Perceiver IO torso."""

from agent.agent import Agent
from agent.config import AgentConfig
from agent.interface import AgentInput, AgentOutput, AgentSpec, PackedObservation, UnrollOutput

__all__ = ["Agent", "AgentConfig", "AgentInput", "AgentOutput", "AgentSpec", "PackedObservation", "UnrollOutput"]

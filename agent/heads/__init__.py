"""Policy heads: one way of acting each, behind the calls of `agent.heads.policy.Policy`."""

from agent.heads.components import ActionHead
from agent.heads.function_call import FunctionCallHead
from agent.heads.policy import Evaluation, Policy

__all__ = ["ActionHead", "Evaluation", "FunctionCallHead", "Policy"]

"""The real Java µRTS: batches of games, single games, matches between its AIs, and pictures of it."""

from envs.microrts.ais import COMPETITION_AIS, FAST_AIS, SEARCH_AIS, list_ais
from envs.microrts.installation import list_maps
from envs.microrts.matches import MatchResults, play_ai_games
from envs.microrts.recorder import AiGame, AiGameRecorder
from envs.microrts.render import render_observation
from envs.microrts.single_env import MicroRTSEnv
from envs.microrts.vector_env import MicroRTSVectorEnv
from envs.microrts.version import game_version

__all__ = [
    "COMPETITION_AIS",
    "FAST_AIS",
    "SEARCH_AIS",
    "AiGame",
    "AiGameRecorder",
    "MatchResults",
    "MicroRTSEnv",
    "MicroRTSVectorEnv",
    "game_version",
    "list_ais",
    "list_maps",
    "play_ai_games",
    "render_observation",
]

"""Games. Importing this package makes them known to `gymnasium.make`; a game is loaded when it is made."""

from envs.registration import register_environments

register_environments()

"""StarCraft II through pysc2: the game's client, observations and actions in the layout of `envs.spaces`."""

"""A stand-in for the StarCraft II game process, for tests only: its protocol, and a toy game with the real names.

Nothing measured against it is a StarCraft II result; every answer that names a version says so (see `version.py`).
"""

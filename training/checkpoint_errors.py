"""What can be wrong with a checkpoint. Every message says what was found and what to do."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be used."""


class CheckpointNotFoundError(CheckpointError):
    """There is no checkpoint at the path."""


class NotACheckpointError(CheckpointError):
    """There is something else at the path, or another program's checkpoint."""


class CorruptedCheckpointError(CheckpointError):
    """A file is missing, truncated or altered, or holds more than tensors and plain data."""


class NewerCheckpointError(CheckpointError):
    """A newer version of the software wrote it."""


class CheckpointMismatchError(CheckpointError):
    """It was made for another game version, map, observation layout or action layout."""


class CheckpointWriteError(OSError):
    """A checkpoint could not be written; the older ones are intact."""

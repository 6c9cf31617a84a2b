"""What the tasks share: settings of the model inside, and weights in a directory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from torch import nn

from perceiver_io import checkpoint
from perceiver_io.config import PerceiverIOConfig, PerceiverIOSettings, check_sizes

_Task = TypeVar("_Task", bound="Task")


@dataclass(frozen=True, kw_only=True)
class TaskConfig(PerceiverIOSettings):
    """Settings of a task: those of the Perceiver IO inside, and in subclasses those of its inputs and outputs.

    Raises:
        ValueError: if a size is not positive.
    """

    def __post_init__(self) -> None:
        check_sizes(self)

    def perceiver_io(self, **sizes: Any) -> PerceiverIOConfig:
        """Return the configuration of the Perceiver IO inside, whose channels the inputs and queries decide."""
        settings = {field.name: getattr(self, field.name) for field in fields(PerceiverIOSettings)}
        return PerceiverIOConfig(**{**settings, **sizes})


class Task(nn.Module):
    """A model that can be saved and loaded; subclasses name their configuration's class."""

    name: ClassVar[str]
    config_class: ClassVar[type[TaskConfig]]
    config: TaskConfig

    @classmethod
    def from_pretrained(cls: type[_Task], directory: str | Path, **settings: Any) -> _Task:
        """Return the model of a directory, in evaluation mode.

        Args:
            directory: written by :meth:`save_pretrained`, or a published DeepMind checkpoint as the Hugging Face hub
                has it: config.json with model.safetensors or pytorch_model.bin.
            **settings: settings to change, such as ``image_shape`` of a model with Fourier positions.

        Raises:
            FileNotFoundError: if a file is missing.
            ImportError: if safetensors is needed and missing.
            ValueError: if the directory holds another task or format, a setting does not exist, or tensors don't fit,
                naming each of them.
        """
        document = checkpoint.read_config(directory)
        _check_names(settings, cls.config_class, cls.name)
        if document.get("format") == checkpoint.FORMAT:
            model = cls(replace(cls._read_config(document, directory), **settings))
            tensors = checkpoint.read_tensors(directory)
            dtypes = {tensor.dtype for tensor in tensors.values() if tensor.is_floating_point()}
            if len(dtypes) == 1:
                model.to(dtypes.pop())
            slots = model.state_dict()
        else:
            from perceiver_io import huggingface

            model = cls(replace(huggingface.read_config(cls, document, directory), **settings))
            tensors = checkpoint.read_tensors(directory)
            slots = huggingface.slots_of(model)
        checkpoint.fill(slots, tensors, source=str(directory))
        model.eval()
        return model

    def save_pretrained(self, directory: str | Path) -> None:
        """Write config.json and model.safetensors, which :meth:`from_pretrained` reads back exactly.

        Raises:
            ImportError: if safetensors is missing.
        """
        checkpoint.write(directory, task=self.name, config=asdict(self.config), tensors=self.state_dict())

    @classmethod
    def _read_config(cls, document: Mapping[str, Any], directory: str | Path) -> TaskConfig:
        if document.get("version") != checkpoint.FORMAT_VERSION:
            raise ValueError(
                f"{directory}: expected version {checkpoint.FORMAT_VERSION} of the format, got "
                f"{document.get('version')!r}; it may be of a newer perceiver_io"
            )
        if document.get("task") != cls.name:
            raise ValueError(f"{directory}: expected the task {cls.name!r}, got {document.get('task')!r}")
        settings: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in document.get("config", {}).items()
        }
        _check_names(settings, cls.config_class, f"{directory}: config.json")
        return cls.config_class(**settings)


def _check_names(settings: Mapping[str, Any], config_class: type[TaskConfig], where: str) -> None:
    names = {field.name for field in fields(config_class)}
    if unknown := sorted(settings.keys() - names):
        raise ValueError(f"{where}: unknown settings {', '.join(unknown)}; expected some of {', '.join(sorted(names))}")

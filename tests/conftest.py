"""Settings of all tests."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import jaxtyping
import pytest
import torch

torch.set_num_threads(1)  # threads that wait for each other beside busy neighbours are many times slower


@pytest.fixture(autouse=True)
def _annotations_checked(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check the annotated shapes of tensor functions, except in tests that hand over what must be refused."""
    expects_refusal = "pytest.raises(" in inspect.getsource(request.function)
    jaxtyping.config.update("jaxtyping_disable", expects_refusal)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)

import json
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from torch import nn

from perceiver_io import checkpoint
from perceiver_io.tasks import MaskedLanguageModel, MaskedLanguageModelConfig

TINY = MaskedLanguageModelConfig(
    vocabulary_size=7,
    max_length=4,
    token_channels=8,
    num_latents=3,
    latent_channels=8,
    num_self_attention_layers_per_block=1,
)


def saved(tmp_path):
    torch.manual_seed(0)
    model = MaskedLanguageModel(TINY)
    model.save_pretrained(tmp_path)
    return model


def edit(tmp_path, **changes):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_loads_back_exactly(tmp_path):
    model = saved(tmp_path / "new" / "folder")
    again = MaskedLanguageModel.from_pretrained(str(tmp_path / "new" / "folder"))
    assert again.config == model.config
    assert not again.training
    for name, tensor in again.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name])
    document = json.loads((tmp_path / "new/folder/config.json").read_text())
    assert (document["format"], document["version"], document["task"]) == ("perceiver_io", 1, "masked_language_model")


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_models_of_other_precision_load_back_exactly(tmp_path, dtype):
    model = saved(tmp_path).to(dtype)
    torch.nn.init.normal_(model.logit_bias)
    model.save_pretrained(tmp_path)
    for name, tensor in MaskedLanguageModel.from_pretrained(tmp_path).state_dict().items():
        assert tensor.dtype == dtype
        assert torch.equal(tensor, model.state_dict()[name])


def test_sizes_may_be_numpys_and_others_are_refused_before_anything_is_written(tmp_path):
    model = MaskedLanguageModel(replace(TINY, vocabulary_size=np.int64(9)))
    model.save_pretrained(tmp_path)
    assert MaskedLanguageModel.from_pretrained(tmp_path).config.vocabulary_size == 9
    with pytest.raises(AttributeError):
        checkpoint.write(tmp_path / "new", task="x", config={"size": object()}, tensors={})
    assert not (tmp_path / "new").exists()


def test_settings_can_be_changed_while_loading(tmp_path):
    model = saved(tmp_path)
    again = MaskedLanguageModel.from_pretrained(tmp_path, skip_padding=False, activation="gelu")
    assert again.config == replace(model.config, skip_padding=False, activation="gelu")
    assert again.perceiver_io.config.activation == "gelu"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "optical_flow"}, "expected the task 'masked_language_model', got 'optical_flow'"),
        ({"version": 2}, "expected version 1 of the format, got 2"),
        ({"config": {"num_latent": 3}}, "unknown settings num_latent"),
        ({"config": {**asdict(TINY), "num_latents": 5}}, "misshaped: perceiver_io.encoder.latents"),
        ({"format": "other"}, "our own format or a published Perceiver"),
    ],
)
def test_other_documents(tmp_path, changes, message):
    saved(tmp_path)
    edit(tmp_path, **changes)
    with pytest.raises(ValueError, match=message):
        MaskedLanguageModel.from_pretrained(tmp_path)


def test_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json: not found"):
        MaskedLanguageModel.from_pretrained(tmp_path)
    saved(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors or pytorch_model\.bin, found neither"):
        MaskedLanguageModel.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ValueError, match="expected an object, got list"):
        MaskedLanguageModel.from_pretrained(tmp_path)


def test_pickles_hold_tensors_only(tmp_path):
    saved(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save({"weights": [1, 2]}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="expected tensors by name"):
        MaskedLanguageModel.from_pretrained(tmp_path)
    torch.save(nn.Linear(2, 2), tmp_path / "pytorch_model.bin")
    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        MaskedLanguageModel.from_pretrained(tmp_path)


def test_without_safetensors(tmp_path, monkeypatch):
    saved(tmp_path)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ImportError, match=r"pip install safetensors$"):
        MaskedLanguageModel.from_pretrained(tmp_path)
    with pytest.raises(ImportError, match=r"pip install safetensors$"):
        MaskedLanguageModel(TINY).save_pretrained(tmp_path)


def test_nothing_is_copied_unless_all_fit():
    slots = {"a": torch.zeros(2), "b": torch.zeros(3)}
    with pytest.raises(ValueError, match=r"here: .*\n  misshaped: b: expected \[3\], got \[4\]"):
        checkpoint.fill(slots, {"a": torch.ones(2), "b": torch.ones(4)}, source="here")
    assert not slots["a"].any()
    checkpoint.fill(slots, {"a": torch.ones(2), "b": torch.ones(3)}, source="here")
    assert slots["b"].all()

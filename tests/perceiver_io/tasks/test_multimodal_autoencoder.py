from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from perceiver_io.queries import random_indices
from perceiver_io.tasks import MultimodalAutoencoder, MultimodalAutoencoderConfig

TINY = MultimodalAutoencoderConfig(
    num_frames=2,
    image_shape=(4, 6),
    block_size=2,
    samples_per_frame=6,
    samples_per_patch=3,
    num_classes=5,
    audio_num_bands=2,
    video_num_bands=2,
    label_query_channels=8,
    output_channels=12,
    num_latents=6,
    latent_channels=16,
    num_self_attention_layers_per_block=1,
)


def tiny(**settings) -> MultimodalAutoencoder:
    torch.manual_seed(0)
    return MultimodalAutoencoder(replace(TINY, **settings))


def clips(batch_size=2):
    generator = torch.Generator().manual_seed(1)
    audio = torch.randn(batch_size, 12, generator=generator)
    video = torch.randn(batch_size, 2, 3, 4, 6, generator=generator)
    return audio, video, torch.randint(0, 5, (batch_size,), generator=generator)


def test_the_papers_sizes():
    with torch.device("meta"):
        model = MultimodalAutoencoder(MultimodalAutoencoderConfig.published())
    assert sum(parameter.numel() for parameter in model.parameters()) == pytest.approx(20.0e6, rel=0.01)
    assert model.inputs.num_channels == 704
    assert model.queries.num_channels == 1026
    assert model.queries.output_counts == {"audio": 1920, "video": 802_816, "label": 1}
    assert model.inputs.token_counts == {"audio": 1920, "video": 50_176, "label": 1}


def test_chosen_outputs_are_those_of_the_whole():
    model = tiny()
    audio, video, labels = clips()
    whole = model(audio, video, labels)
    assert [tuple(part.shape) for part in whole] == [(2, 4, 3), (2, 48, 3), (2, 5)]
    audio_indices, video_indices = torch.tensor([3, 0]), torch.tensor([47, 5, 5])
    chosen = model(audio, video, labels, audio_indices=audio_indices, video_indices=video_indices)
    torch.testing.assert_close(chosen.audio, whole.audio[:, audio_indices])
    torch.testing.assert_close(chosen.video, whole.video[:, video_indices])
    torch.testing.assert_close(chosen.label_logits, whole.label_logits)


@pytest.mark.parametrize("chunk_size", [1, 7, 1000])
def test_reconstruction_puts_every_output_in_its_place(chunk_size):
    model = tiny()
    audio, video, _ = clips()
    whole = model(audio, video)
    reconstruction = model.reconstruct(audio, video, chunk_size=chunk_size)
    assert reconstruction.audio.shape == audio.shape
    assert reconstruction.video.shape == video.shape
    torch.testing.assert_close(reconstruction.audio[:, 6:9], whole.audio[:, 2])
    torch.testing.assert_close(reconstruction.video[:, 1, :, 3, 2], whole.video[:, (1 * 4 + 3) * 6 + 2])
    torch.testing.assert_close(reconstruction.label_logits, whole.label_logits)
    assert not reconstruction.video.requires_grad


def test_targets_lie_where_outputs_are_decoded():
    model = tiny()
    audio, video, _ = clips()
    assert torch.equal(model.audio_targets(audio, torch.tensor([1]))[1, 0], audio[1, 3:6])
    assert torch.equal(model.video_targets(video, torch.tensor([(1 * 4 + 2) * 6 + 5]))[0, 0], video[0, 1, :, 2, 5])


def test_modalities_can_be_hidden():
    model = tiny(label_mask_probability=0.0).eval()
    audio, video, labels = clips()
    with_label, without = model(audio, video, labels), model(audio, video)
    assert (with_label.video - without.video).abs().max() > 1e-6
    only_audio = model(audio)
    torch.testing.assert_close(model(audio, None, None).video, only_audio.video)
    hidden_label = tiny().eval()
    torch.testing.assert_close(hidden_label(audio, video, labels), hidden_label(audio, video))


def test_masked_tokens_are_not_read():
    model = tiny().double()
    audio, video, _ = clips()
    audio, video = audio.double(), video.double()
    input_mask = torch.ones(2, model.inputs.num_tokens, dtype=torch.bool)
    input_mask[:, 2:4] = False
    changed = audio.clone()
    changed[:, 6:] = 9.0
    torch.testing.assert_close(model(changed, video, input_mask=input_mask), model(audio, video, input_mask=input_mask))


def test_learns_from_subsampled_outputs_and_loads_back(tmp_path):
    model = tiny(latent_channels=32, num_latents=16)
    audio, video, labels = clips()
    video = video.mean(dim=(3, 4), keepdim=True).mul(4.0).expand_as(video)
    generator = torch.Generator().manual_seed(0)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(150):
        audio_indices, video_indices = (
            random_indices(4, 2, generator=generator),
            random_indices(48, 16, generator=generator),
        )
        output = model(audio, video, audio_indices=audio_indices, video_indices=video_indices)
        loss = (
            F.mse_loss(output.audio, model.audio_targets(audio, audio_indices))
            + F.mse_loss(output.video, model.video_targets(video, video_indices))
            + F.cross_entropy(output.label_logits, labels)
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.eval()
    reconstruction = model.reconstruct(audio, video)
    assert F.mse_loss(reconstruction.audio, audio) < 0.3 * audio.var()
    assert F.mse_loss(reconstruction.video, video) < 0.3 * video.var()
    assert torch.equal(reconstruction.label_logits.argmax(-1), labels)
    model.save_pretrained(tmp_path)
    again = MultimodalAutoencoder.from_pretrained(tmp_path)
    assert again.config == model.config
    for got, expected in zip(again.reconstruct(audio, video), reconstruction, strict=True):
        assert torch.equal(got, expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tiny()(), "inputs: expected some of"),
        (lambda: tiny()(torch.zeros(2, 11)), "audio: expected shape"),
        (lambda: tiny()(torch.zeros(2, 12), video_indices=torch.zeros(3)), "video_indices: expected dtype torch.int64"),
        (lambda: tiny().reconstruct(torch.zeros(2, 12), chunk_size=0), "chunk_size must be positive"),
        (lambda: tiny(block_size=4), "divisor of height and width = 4 and 6, got 4"),
        (lambda: tiny(audio_mask_probability=2.0), "'audio': 2.0"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()

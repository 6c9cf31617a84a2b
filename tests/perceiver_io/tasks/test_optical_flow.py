from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from perceiver_io.tasks import OpticalFlow, OpticalFlowConfig
from perceiver_io.tasks.optical_flow import _border_weights, _crop_starts

TINY = OpticalFlowConfig(
    image_shape=(6, 8),
    feature_channels=8,
    num_bands=2,
    num_latents=4,
    latent_channels=16,
    num_self_attention_layers_per_block=1,
)


def tiny(**settings) -> OpticalFlow:
    torch.manual_seed(0)
    model = OpticalFlow(replace(TINY, **settings))
    torch.nn.init.normal_(model.perceiver_io.decoder.output.weight)
    return model


def frames_of(height, width, batch_size=2):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(batch_size, 2, 3, height, width, generator=generator) * 2 - 1


@pytest.mark.parametrize(
    ("config", "millions"), [(OpticalFlowConfig.published(), 41.1), (OpticalFlowConfig.light(), 27.9)]
)
def test_the_papers_sizes(config, millions):
    with torch.device("meta"):
        model = OpticalFlow(config)
    assert sum(parameter.numel() for parameter in model.parameters()) == pytest.approx(millions * 1e6, rel=0.004)


def test_pixels_query_with_their_own_features():
    model = tiny()
    frames = frames_of(6, 8)
    tokens = model.inputs(frames)
    outputs = model.perceiver_io(tokens, tokens) / 100.0
    flow = model(frames)
    assert flow.shape == (2, 2, 6, 8)
    torch.testing.assert_close(flow[1, :, 4, 3], outputs[1, 4 * 8 + 3])


def test_the_first_flow_is_zero():
    assert not OpticalFlow(TINY)(frames_of(6, 8)).any()


def test_crops_cover_the_axis_with_the_overlap_asked_for():
    assert _crop_starts(436, 368, 20) == [0, 68]
    assert _crop_starts(368, 368, 20) == [0]
    assert _crop_starts(716, 368, 20) == [0, 348]
    for length in range(6, 60):
        starts = _crop_starts(length, 6, 2)
        assert starts[0] == 0
        assert starts[-1] == length - 6
        assert all(0 < after - before <= 4 for before, after in pairwise(starts))


def test_weights_fall_towards_the_border():
    expected = [[1, 1, 1, 1], [1, 2, 2, 1], [1, 2, 2, 1], [1, 1, 1, 1]]
    assert _border_weights((4, 4)).tolist() == expected
    assert _border_weights((3, 5))[1].tolist() == [1, 2, 2, 2, 1]


def test_one_crop_is_the_flow_in_pixels():
    model = tiny()
    frames = frames_of(6, 8)
    torch.testing.assert_close(model.predict(frames, min_overlap=5), 20.0 * model(frames), atol=1e-6, rtol=1e-5)


def test_stitched_flow_is_the_weighted_mean_of_crops():
    model = tiny()
    frames = frames_of(9, 13)
    flow = model.predict(frames, min_overlap=2)
    total, weight_total = torch.zeros(2, 2, 9, 13), torch.zeros(9, 13)
    weights = _border_weights((6, 8))
    with torch.no_grad():
        for top in (0, 3):
            for left in (0, 5):
                crop = model(frames[..., top : top + 6, left : left + 8])
                for row in range(6):
                    for column in range(8):
                        total[..., top + row, left + column] += weights[row, column] * crop[..., row, column]
                        weight_total[top + row, left + column] += weights[row, column]
    torch.testing.assert_close(flow, 20.0 * total / weight_total, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(model.predict(frames, min_overlap=2, crops_per_pass=3), flow, atol=1e-5, rtol=1e-5)
    assert not flow.requires_grad


def test_small_frames_are_filled_up():
    model = tiny()
    frames = frames_of(4, 5)
    filled = torch.cat([frames, frames[..., -1:].expand(-1, -1, -1, -1, 3)], dim=-1)
    filled = torch.cat([filled, filled[..., -1:, :].expand(-1, -1, -1, 2, -1)], dim=-2)
    flow = model.predict(frames, min_overlap=5)
    assert flow.shape == (2, 2, 4, 5)
    torch.testing.assert_close(flow, model.predict(filled, min_overlap=5)[..., :4, :5], atol=1e-6, rtol=1e-5)


def test_masked_pixels_are_not_read_but_get_a_flow():
    model = tiny()
    frames = frames_of(6, 8, batch_size=1)
    input_mask = torch.ones(1, 48, dtype=torch.bool)
    input_mask[0, 8:] = False
    changed = frames.clone()
    changed[..., 3:, :] = 0.5
    flow, changed_flow = model(frames, input_mask), model(changed, input_mask)
    torch.testing.assert_close(changed_flow[..., 0, :], flow[..., 0, :])
    assert (flow[..., 4, :] - changed_flow[..., 4, :]).abs().min() > 0


def test_loads_back(tmp_path):
    model = tiny().eval()
    model.save_pretrained(tmp_path)
    again = OpticalFlow.from_pretrained(tmp_path)
    assert again.config == model.config
    assert torch.equal(again(frames_of(6, 8)), model(frames_of(6, 8)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tiny()(frames_of(6, 9)), r"frames: .* got \[2, 2, 3, 6, 9\]"),
        (lambda: tiny().predict(torch.zeros(1, 3, 3, 9, 9)), r"frames: .*= \[\*, 2, 3, \*, \*\]"),
        (lambda: tiny().predict(frames_of(9, 9), min_overlap=6), "below 6 .* got 6 and 1"),
        (lambda: tiny().predict(frames_of(9, 9), min_overlap=1, crops_per_pass=0), "got 1 and 0"),
        (lambda: tiny(rescale_factor=0.0), "rescale_factor: expected a positive number, got 0.0"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()

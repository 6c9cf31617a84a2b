import pytest
import torch

from perceiver_io import PerceiverIO, PerceiverIOConfig
from perceiver_io.position import FourierFeatures
from perceiver_io.queries import (
    FourierQueries,
    LearnedQueries,
    MultimodalQueries,
    decode_in_chunks,
    input_queries,
    random_indices,
)


def test_learned_queries():
    queries = LearnedQueries(5, 3)
    assert queries().shape == (queries.num_outputs, queries.num_channels) == (5, 3)
    assert torch.equal(queries(torch.tensor([4, 0])), queries()[[4, 0]])
    assert queries().requires_grad


def test_fourier_queries_sit_at_two_i_over_n_minus_one():
    queries = FourierQueries((2, 4), num_bands=3, max_resolution=(8, 6))
    assert queries().shape == (queries.num_outputs, queries.num_channels) == (8, 2 * 7)
    positions = torch.tensor([[y / 2 * 2 - 1, x / 4 * 2 - 1] for y in range(2) for x in range(4)])
    torch.testing.assert_close(queries(), FourierFeatures((8, 6), num_bands=3).encode(positions))
    assert torch.equal(queries(torch.tensor([6, 1])), queries()[[6, 1]])


def test_a_very_large_output_costs_only_what_is_asked_for():
    queries = FourierQueries((16, 1_000_000, 1_000_000), num_bands=4)
    last = queries(torch.tensor([queries.num_outputs - 1]))
    torch.testing.assert_close(last[0, :3], torch.tensor([0.875, 1.0, 1.0]), atol=1e-5, rtol=0.0)
    assert sum(buffer.numel() for buffer in queries.buffers()) < 20


def test_multimodal_queries_are_padded_to_common_channels():
    queries = MultimodalQueries(
        {"sound": FourierQueries((6,), num_bands=2), "name": LearnedQueries(1, 7)}, min_padding=3
    )
    assert queries.num_channels == 10
    sound = queries("sound", torch.tensor([5, 2, 2]))
    torch.testing.assert_close(sound[:, :5], queries.queries["sound"](torch.tensor([5, 2, 2])))
    torch.testing.assert_close(sound[1, 5:], queries.paddings["sound"])
    torch.testing.assert_close(queries("name")[0, 7:], queries.paddings["name"])
    assert queries("name").shape == (1, 10)


def test_input_queries():
    tokens = torch.randn(2, 4, 3)
    assert input_queries(tokens) is tokens
    assert torch.equal(input_queries(tokens, torch.tensor([3, 3])), tokens[:, [3, 3]])


def test_random_indices_are_distinct_and_repeatable():
    indices = random_indices(1000, 200, generator=torch.Generator().manual_seed(0))
    assert indices.unique().numel() == 200
    assert indices.min() >= 0
    assert indices.max() > 900
    assert torch.equal(indices, random_indices(1000, 200, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("chunk_size", [1, 4, 100])
def test_decoding_in_chunks_changes_nothing(chunk_size):
    torch.manual_seed(0)
    config = PerceiverIOConfig(input_channels=4, query_channels=10, output_channels=3, num_latents=5, latent_channels=8)
    model = PerceiverIO(config).double()
    queries = FourierQueries((3, 5), num_bands=2).double()
    with torch.no_grad():
        latents = model.encode(torch.randn(2, 6, 4, dtype=torch.float64))
        whole = model.decode(latents, queries(None))
        pieces = decode_in_chunks(lambda indices: model.decode(latents, queries(indices)), 15, chunk_size)
    torch.testing.assert_close(pieces, whole, atol=1e-12, rtol=1e-12)


def test_the_queries_of_many_draws_at_once():
    queries, indices = FourierQueries((2, 3), num_bands=2), torch.tensor([[0, 5], [3, 3]])
    torch.testing.assert_close(torch.vmap(queries)(indices), torch.stack([queries(drawn) for drawn in indices]))


@pytest.mark.parametrize("index", [-1, 6])
def test_there_is_no_output_beyond_the_last(index):
    with pytest.raises(IndexError, match=f"indices: expected 0 to 5, got {index}"):
        FourierQueries((2, 3))(torch.tensor([0, index]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: FourierQueries(()), "expected positive sizes"),
        (lambda: FourierQueries(16), r"output_shape: expected positive sizes, .* such as \(16,\), got 16"),
        (lambda: FourierQueries((3,), max_resolution=(3, 3)), r"max_resolution: expected 1 sizes, .*\(3, 3\)"),
        (lambda: MultimodalQueries({"a": LearnedQueries(1, 2)})("b"), r"expected one of \['a'\], got 'b'"),
        (lambda: random_indices(3, 4), "from 0 to num_outputs = 3, got 4"),
        (lambda: decode_in_chunks(lambda indices: indices, 4, 0), "got 4 and 0"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()

"""Encoders against explicit sums and dense convolutions."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from agent.entity_encoder import EntityEncoder
from agent.interface import EntitySpec
from agent.map_encoder import MapEncoder
from agent.scalar_encoder import ScalarEncoder
from agent.spatial_encoder import NeighbourhoodEncoder, PlaneEncoder

WIDTH, HEIGHT, CHANNELS = 6, 5, 8
SPEC = EntitySpec(max_entities=7, category_sizes=(3, 4), num_values=2, width=WIDTH, height=HEIGHT)


def test_entity_token_is_the_sum_of_its_embeddings() -> None:
    torch.manual_seed(0)
    encoder = EntityEncoder(SPEC, CHANNELS)
    categories = torch.tensor([[0, 3], [2, 0], [1, 1]])
    values = torch.randn(3, 2)
    positions = torch.tensor([[0, 4], [5, 0], [2, 2]])
    tokens = encoder(categories, values, positions)
    assert encoder.values is not None
    tables = encoder.embedding.weight.split([3, 4, WIDTH, HEIGHT])
    for row in range(3):
        expected = encoder.values.weight @ values[row] + encoder.values.bias
        for table, index in zip(tables, [*categories[row], *positions[row]], strict=True):
            expected = expected + table[index]
        torch.testing.assert_close(tokens[row], expected)


@pytest.mark.parametrize(("category_sizes", "num_values"), [((3, 4), 2), ((), 2), ((3,), 0)])
def test_entity_encoder_without_entities_categories_or_values(category_sizes: tuple[int, ...], num_values: int) -> None:
    spec = EntitySpec(max_entities=7, category_sizes=category_sizes, num_values=num_values, width=2, height=2)
    encoder = EntityEncoder(spec, CHANNELS)
    for rows in (0, 3):
        index = torch.zeros(rows, len(category_sizes), dtype=torch.int64)
        tokens = encoder(index, torch.ones(rows, num_values), torch.zeros(rows, 2, dtype=torch.int64))
        assert tokens.shape == (rows, CHANNELS)
        assert torch.isfinite(tokens).all()


def test_scalar_encoder_gives_one_token() -> None:
    encoder = ScalarEncoder(3, CHANNELS)
    scalars = torch.randn(4, 3)
    tokens = encoder(scalars)
    assert tokens.shape == (4, 1, CHANNELS)
    torch.testing.assert_close(tokens[2], encoder(scalars[2:3])[0])


def dense_neighbourhood(
    encoder: NeighbourhoodEncoder, tokens: Tensor, positions: Tensor, sample: Tensor, blocked: Tensor | None, size: int
) -> Tensor:
    """Return the whole convolved map [N, C, H, W]: every cell's vector is written down, then convolved densely."""
    radius, small = encoder.radius, len(encoder.blocked)
    vectors = torch.zeros(size, small, HEIGHT + 2 * radius, WIDTH + 2 * radius)
    for n in range(size):
        for y in range(-radius, HEIGHT + radius):
            for x in range(-radius, WIDTH + radius):
                outside = not (0 <= y < HEIGHT and 0 <= x < WIDTH)
                if outside or (blocked is not None and blocked[n, y, x] > 0):
                    vectors[n, :, y + radius, x + radius] = encoder.blocked
    for row, (x, y) in enumerate(positions.tolist()):
        vectors[sample[row], :, y + radius, x + radius] = encoder.scatter(tokens[row])
    side = 2 * radius + 1
    kernel = encoder.gather.weight.view(-1, side, side, small).permute(0, 3, 1, 2)
    return F.conv2d(vectors, kernel, encoder.gather.bias)


@pytest.mark.parametrize("radius", [1, 2, 3])
@pytest.mark.parametrize("with_walls", [False, True])
def test_neighbourhood_is_a_dense_convolution_read_at_the_units(radius: int, with_walls: bool) -> None:
    torch.manual_seed(radius)
    encoder = NeighbourhoodEncoder(SPEC, CHANNELS, radius, 3)
    tokens = torch.randn(7, CHANNELS)
    # Corners, a shared cell (rows 2 and 3: the later is read), and a unit on a wall.
    positions = torch.tensor([[0, 0], [5, 4], [2, 3], [2, 3], [4, 1], [0, 4], [3, 3]])
    sample = torch.tensor([0, 0, 0, 0, 2, 2, 2])
    blocked = None
    if with_walls:
        blocked = (torch.rand(3, HEIGHT, WIDTH) < 0.3).float()
        blocked[0, 3, 2] = 1
    units = torch.tensor([0, 1, 3, 2, 4, 6])
    gathered = encoder(tokens, positions, sample, units, blocked, 3)
    dense = dense_neighbourhood(encoder, tokens, positions, sample, blocked, 3)
    expected = dense[sample[units], :, positions[units, 1], positions[units, 0]]
    torch.testing.assert_close(gathered, expected, atol=1e-5, rtol=1e-5)


def test_plane_tokens_are_patches_row_by_row() -> None:
    """11 rows in at most 4 patches: height 3, so 4 patch rows of which the last is padded by one row of zeros."""
    torch.manual_seed(0)
    encoder = PlaneEncoder((2, 11, 8), CHANNELS, most_patches=4)
    planes = torch.rand(3, 2, 11, 8)
    tokens = encoder(planes)
    assert encoder.patch == (3, 2)
    assert tokens.shape == (3, 16, CHANNELS)
    padded = F.pad(planes, (0, 0, 0, 1))
    for row in range(4):
        for column in range(4):
            patch = padded[:, :, 3 * row : 3 * row + 3, 2 * column : 2 * column + 2]
            embedded = torch.einsum("nphw,cphw->nc", patch, encoder.embed.weight) + encoder.embed.bias
            expected = embedded + encoder.position[4 * row + column]
            torch.testing.assert_close(tokens[:, 4 * row + column], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 7), (4, 84, 84), (2, 9, 64)])
def test_planes_of_any_size_give_at_most_8_by_8_tokens(shape: tuple[int, int, int]) -> None:
    tokens = PlaneEncoder(shape, CHANNELS)(torch.rand(2, *shape))
    assert tokens.shape[1] <= 64
    assert torch.isfinite(tokens).all()


def test_planes_are_divided_by_their_scales() -> None:
    torch.manual_seed(0)
    scaled = PlaneEncoder((2, 4, 4), CHANNELS, plane_scales=(255.0, 2.0))
    plain = PlaneEncoder((2, 4, 4), CHANNELS)
    plain.load_state_dict(scaled.state_dict())
    planes = torch.rand(3, 2, 4, 4)
    torch.testing.assert_close(scaled(planes * torch.tensor([255.0, 2.0]).view(2, 1, 1)), plain(planes))


@pytest.mark.parametrize(
    ("shape", "cells"), [((5, 7), (5, 7)), ((16, 16), (16, 16)), ((17, 40), (5, 10)), ((128, 128), (16, 16))]
)
def test_maps_have_at_most_16_by_16_cells_and_a_token_for_each_four(
    shape: tuple[int, int], cells: tuple[int, int]
) -> None:
    encoder = MapEncoder((2, *shape), SPEC, CHANNELS, map_channels=8, num_blocks=1, plane_scales=(1.0, 255.0))
    empty = torch.zeros(0, CHANNELS), torch.zeros(0, 2, dtype=torch.int64), torch.zeros(0, dtype=torch.int64)
    maps, tokens = encoder(torch.rand(3, 2, *shape), *empty)
    assert maps.shape == (3, 8, *cells)
    assert tokens.shape == (3, -(-cells[0] // 2) * -(-cells[1] // 2), CHANNELS)
    assert torch.isfinite(tokens).all()


def test_entities_are_added_to_the_cells_that_they_stand_on() -> None:
    """Positions are on a map of 6 x 5, the planes have twice its size; two entities share a cell."""
    torch.manual_seed(0)
    encoder = MapEncoder((1, 10, 12), SPEC, CHANNELS, map_channels=8, num_blocks=0, plane_scales=(2.0,))
    tokens, planes = torch.randn(4, CHANNELS), torch.rand(2, 1, 10, 12)
    positions, sample = torch.tensor([[5, 0], [0, 4], [3, 2], [3, 2]]), torch.tensor([0, 0, 1, 1])
    maps, _ = encoder(planes, tokens, positions, sample)
    cells = encoder.from_planes(planes / 2)
    for row, (x, y) in enumerate(positions.tolist()):
        cells[sample[row], :, 2 * y, 2 * x] += encoder.from_entities(tokens[row])
    expected = F.relu(encoder.convolutions[0](F.relu(cells)))
    torch.testing.assert_close(maps, expected, atol=1e-5, rtol=1e-4)
    order = torch.tensor([3, 1, 0, 2])
    permuted, _ = encoder(planes, tokens[order], positions[order], sample[order])
    torch.testing.assert_close(permuted, maps, atol=1e-5, rtol=1e-4)

"""Made-up StarCraft II messages with everything in them that an observation can hold; nothing of a real game."""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.starcraft2.compatibility import raw_functions, sc_pb
from envs.starcraft2.planes import MINIMAP_SIZE, PLANE_NAMES
from envs.starcraft2.tables import BUFF_IDS, EFFECT_IDS, UNIT_TYPE_IDS, UPGRADE_IDS

_ABILITY_IDS = sorted({function.ability_id for function in raw_functions if function.ability_id > 0})
_BITS = {"creep": 1, "camera": 1, "pathable": 1, "buildable": 1}
_HIGHS = {"height_map": 256, "visibility_map": 4, "player_relative": 5, "alerts": 2}


def game_info(generator: np.random.Generator, *, width: int = 168, height: int = 184, grid_bits: int = 1) -> Any:
    """Return a ResponseGameInfo of a two-player game on a map of this size; older builds send grids of 8 bits."""
    info = sc_pb.ResponseGameInfo(map_name="made up")
    info.options.raw = info.options.score = info.options.show_cloaked = True
    info.options.feature_layer.width = 24
    for resolution in (info.options.feature_layer.resolution, info.options.feature_layer.minimap_resolution):
        resolution.x = resolution.y = MINIMAP_SIZE
    for player_id, race in ((1, 1), (2, 4)):
        info.player_info.add(player_id=player_id, type=sc_pb.Participant, race_requested=race)
    info.player_info[0].race_actual = 1
    info.start_raw.map_size.x, info.start_raw.map_size.y = width, height
    for image, bits in (
        (info.start_raw.pathing_grid, grid_bits),
        (info.start_raw.placement_grid, grid_bits),
        (info.start_raw.terrain_height, 8),
    ):
        _fill_image(generator, image, bits, 256, (width, height))
    return info


def observation(
    generator: np.random.Generator,
    *,
    num_units: int,
    width: int = 168,
    height: int = 184,
    busy: float = 1.0,
    carriers: float = 0.05,
) -> Any:
    """Return a ResponseObservation with units of all alliances, types, orders, buffs, cargo, and effects.

    Args:
        busy: share of units with orders, buffs and contents; the others stand there.
        carriers: share of units with passengers, up to eight each.
    """
    response = sc_pb.ResponseObservation()
    state = response.observation
    state.game_loop = int(generator.integers(1, 30000))
    _fill_numbers(generator, state.player_common)
    state.player_common.player_id = 1
    _fill_score(generator, state.score)
    raw = state.raw_data
    raw.player.upgrade_ids.extend(int(upgrade) for upgrade in generator.choice([*UPGRADE_IDS, 9999], 6, replace=False))
    raw.player.camera.x, raw.player.camera.y = 20.0, 30.0
    for _ in range(num_units):
        unit = raw.units.add()
        _fill_unit(generator, unit, width, height)
        if generator.random() < busy:
            _fill_activity(generator, unit)
    _link_units(generator, raw.units, carriers)
    for _ in range(int(generator.integers(0, 4)) if num_units else 0):
        effect = raw.effects.add(effect_id=int(generator.choice([*EFFECT_IDS, 77])), radius=1.5, owner=1)
        effect.alliance = int(generator.integers(1, 5))
        for _ in range(int(generator.integers(1, 4))):
            _place(generator, effect.pos.add(), width, height)
    for image in (raw.map_state.visibility, raw.map_state.creep):
        _fill_image(generator, image, 8, 3, (width, height))
    minimap = state.feature_layer_data.minimap_renders
    for name in PLANE_NAMES:
        size = (MINIMAP_SIZE, MINIMAP_SIZE)
        _fill_image(generator, getattr(minimap, name), _BITS.get(name, 8), _HIGHS.get(name, 2), size)
    return response


def _fill_image(generator: np.random.Generator, image: Any, bits: int, high: int, size: tuple[int, int]) -> None:
    image.bits_per_pixel = bits
    image.size.x, image.size.y = size
    pixels = size[0] * size[1]
    if bits == 1:
        image.data = generator.integers(0, 256, (pixels + 7) // 8, np.uint8).tobytes()
    else:
        image.data = generator.integers(0, high, pixels, np.uint8).tobytes()


def _place(generator: np.random.Generator, point: Any, width: int, height: int) -> None:
    # Map edges are where rounding goes wrong first.
    point.x, point.y = (float(generator.choice([generator.uniform(0, size), 0, size])) for size in (width, height))


def _fill_numbers(generator: np.random.Generator, message: Any) -> None:
    """Set the numbers of a message, some of them left out."""
    for field in message.DESCRIPTOR.fields:
        # `label` is deprecated where `is_repeated` exists.
        repeated = field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED
        if repeated or generator.random() < 0.2:
            continue
        if field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
            setattr(message, field.name, float(generator.uniform(0, 3000)))
        elif field.cpp_type in (field.CPPTYPE_INT32, field.CPPTYPE_UINT32):
            setattr(message, field.name, int(generator.integers(0, 3000)))


def _fill_score(generator: np.random.Generator, score: Any) -> None:
    score.score_type = score.DESCRIPTOR.fields_by_name["score_type"].enum_type.values[0].number
    score.score = int(generator.integers(0, 9000))
    details = score.score_details
    _fill_numbers(generator, details)
    for field in details.DESCRIPTOR.fields:
        if field.message_type is not None:
            _fill_numbers(generator, getattr(details, field.name))


def _fill_unit(generator: np.random.Generator, unit: Any, width: int, height: int) -> None:
    unit.tag = int(generator.integers(1, 2**62))
    unit.unit_type = int(generator.choice([*UNIT_TYPE_IDS, 4000]))
    if generator.random() < 0.9:
        unit.display_type, unit.alliance = (int(number) for number in generator.integers(1, 5, 2))
    unit.owner = int(generator.integers(1, 17))
    unit.cloak = int(generator.integers(0, 5))
    _place(generator, unit.pos, width, height)
    unit.pos.z = float(generator.uniform(-16, 16))
    unit.facing, unit.radius = float(generator.uniform(0, 6.3)), float(generator.uniform(0.1, 4))
    unit.build_progress = float(generator.choice([1.0, generator.random()]))
    for name, high in (("health", 1500.0), ("shield", 1000.0), ("energy", 200.0)):
        if generator.random() < 0.7:
            setattr(unit, f"{name}_max", high)
            setattr(unit, name, float(generator.uniform(0, high)))


def _fill_activity(generator: np.random.Generator, unit: Any) -> None:
    for name in ("is_selected", "is_on_screen", "is_blip", "is_powered", "is_active", "is_flying", "is_burrowed"):
        setattr(unit, name, bool(generator.random() < 0.3))
    unit.is_hallucination = bool(generator.random() < 0.1)
    for name, high in (("mineral_contents", 2000), ("vespene_contents", 2600), ("assigned_harvesters", 30)):
        if generator.random() < 0.4:
            setattr(unit, name, int(generator.integers(0, high)))
    for name in ("ideal_harvesters", "cargo_space_taken", "cargo_space_max", "attack_upgrade_level"):
        if generator.random() < 0.4:
            setattr(unit, name, int(generator.integers(0, 20)))
    for name in ("armor_upgrade_level", "shield_upgrade_level", "buff_duration_remain", "buff_duration_max"):
        if generator.random() < 0.4:
            setattr(unit, name, int(generator.integers(-2, 400)))
    unit.weapon_cooldown = float(generator.uniform(0, 60))
    buffs = generator.choice([*BUFF_IDS, 5000], int(generator.integers(0, 4)), replace=False)
    unit.buff_ids.extend(int(buff) for buff in buffs)
    for _ in range(int(generator.choice([0, 0, 0, 0, 1, 1, 1, 2, 5, 9]))):
        ability = int(generator.choice([*_ABILITY_IDS, 5, 100000]))
        order = unit.orders.add(ability_id=ability, progress=float(generator.random()))
        order.target_unit_tag = 7


def _link_units(generator: np.random.Generator, units: Any, carriers: float) -> None:
    """Give some units add-ons, seen or not, and passengers."""
    for unit in units:
        if generator.random() < 0.1:
            unit.add_on_tag = int(generator.choice([unit.tag + 1, units[int(generator.integers(len(units)))].tag]))
        if generator.random() < carriers:
            for _ in range(int(generator.integers(1, 9))):
                passenger = unit.passengers.add(tag=int(generator.integers(1, 2**62)))
                passenger.unit_type = int(generator.choice(UNIT_TYPE_IDS))
                passenger.health, passenger.health_max = float(generator.uniform(0, 45)), 45.0
                passenger.energy, passenger.energy_max = 50.5, float(generator.choice([0.0, 200.0]))

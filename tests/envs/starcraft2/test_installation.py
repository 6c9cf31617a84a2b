from __future__ import annotations

import platform
from pathlib import Path

import pytest

from envs.errors import GameNotFoundError, UnknownNameError
from envs.starcraft2 import installation
from envs.starcraft2.game_maps import find_map, known_maps
from envs.starcraft2.installation import (
    game_directory,
    inspect_installation,
    list_builds,
    list_maps,
    program_environment,
    program_path,
    searched_directories,
)
from envs.starcraft2.names import MINI_GAMES
from envs.starcraft2.releases import find_release, releases_of_build


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder laid out like an installed game, which cannot be started."""
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    for name in ("Base75689", "base81009", "Base99999"):
        (tmp_path / "Versions" / name).mkdir(parents=True)
    for name in ("Base75689", "base81009"):
        program = tmp_path / "Versions" / name / "SC2_x64"
        program.touch()
        program.chmod(0o755)
    for path in ("Melee/Simple64", "Ladder2019Season3/(2)AcropolisLE", "mini_games/MoveToBeacon", "own/(4)Mine"):
        file = tmp_path / "Maps" / f"{path}.SC2Map"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    monkeypatch.setenv("SC2PATH", str(tmp_path))
    return tmp_path


def test_the_game_is_found_by_its_variable(folder: Path) -> None:
    assert game_directory() == folder
    assert list_builds() == [75689, 81009]  # without the folder that has no program
    assert program_path(folder) == folder / "Versions/base81009/SC2_x64"
    assert program_path(folder, 75689) == folder / "Versions/Base75689/SC2_x64"
    assert "Melee/Simple64.SC2Map" in list_maps()
    report = inspect_installation()
    assert (report.directory, report.builds, report.problems) == (folder, (75689, 81009), ())
    assert len(report.maps) == 4


def test_the_usual_places_are_searched_without_the_variable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SC2PATH")
    monkeypatch.setenv("HOME", str(folder / "home"))
    monkeypatch.setattr(installation, "_USUAL_FOLDERS", {"Linux": ("~/StarCraftII", "/nowhere/StarCraftII")})
    assert searched_directories() == [folder / "home/StarCraftII", Path("/nowhere/StarCraftII")]
    with pytest.raises(GameNotFoundError, match=r"not found in .*StarCraftII, and SC2PATH is not set; install it"):
        game_directory()
    (folder / "home").mkdir()
    (folder / "home" / "StarCraftII").symlink_to(folder)
    assert list_builds(game_directory()) == [75689, 81009]


@pytest.mark.parametrize(("system", "levels"), [("Darwin", 6), ("Windows", 3)])
def test_the_file_in_which_the_game_records_itself_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, system: str, levels: int
) -> None:
    monkeypatch.delenv("SC2PATH")
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(installation, "_EXECUTE_INFO", {system: (str(folder), levels)})
    program = "/".join(["/games/sc2", *"abcdef"[: levels - 1], "program"])
    (folder / "StarCraft II").mkdir()
    (folder / "StarCraft II/ExecuteInfo.txt").write_bytes(f"executable = {program}\r\n\0".encode())
    assert searched_directories()[0] == Path("/games/sc2")


def test_what_is_missing_is_told_with_a_remedy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "Versions/base81009/SC2_x64").chmod(0o644)
    [problem] = inspect_installation().problems
    assert problem.remedy == f"chmod +x {folder}/Versions/base81009/SC2_x64"
    for name in ("Base75689", "base81009"):
        (folder / "Versions" / name / "SC2_x64").unlink()
    for path in list_maps():
        (folder / "Maps" / path).unlink()
    builds, maps = inspect_installation().problems
    assert "no folder BaseNNNNN with the program SC2_x64" in builds.reason
    assert "Linux builds: https://" in builds.remedy
    assert maps.reason == f"{folder}/Maps has no maps"
    with pytest.raises(GameNotFoundError, match="has no build of StarCraft II"):
        program_path(folder)
    monkeypatch.setenv("SC2PATH", str(folder / "elsewhere"))
    [problem] = inspect_installation().problems
    assert "not where SC2PATH points" in problem.reason
    assert "SC2PATH" in problem.remedy


def test_a_build_without_the_interface_is_reported(folder: Path) -> None:
    for name in ("Base75689", "base81009"):
        (folder / "Versions" / name / "SC2_x64").unlink()
    (folder / "Versions/Base55505").mkdir()
    (folder / "Versions/Base55505/SC2_x64").touch(0o755)
    [problem] = inspect_installation().problems
    assert problem.reason == "the newest build is 55505; the interface needs 55958 (3.16.1) or newer"


def test_builds_and_releases_that_are_not_there_are_refused(folder: Path) -> None:
    with pytest.raises(UnknownNameError, match="build of StarCraft II '75688': did you mean 75689"):
        program_path(folder, 75688)
    assert find_release("4.10", folder) == find_release("4.10.0", folder)
    assert find_release("4.10.0", folder) == (75689, "B89B5D6FA7CBF6452E721311BFBC6CB2")
    assert "4.10.0" in releases_of_build(75689)
    with pytest.raises(GameNotFoundError, match=r"release 4.9.3 needs build 75025, installed in .* \[75689, 81009\]"):
        find_release("4.9.3", folder)
    with pytest.raises(UnknownNameError, match=r"release of StarCraft II '4\.10\.00'"):
        find_release("4.10.00", folder)


def test_maps_are_found_by_name_and_by_file(folder: Path) -> None:
    simple = find_map("Simple64", folder)
    assert (simple.path, simple.players, simple.max_game_loops) == ("Melee/Simple64.SC2Map", 2, 28_800)
    assert find_map("Acropolis", folder).path == "Ladder2019Season3/(2)AcropolisLE.SC2Map"
    beacon = find_map("MoveToBeacon", folder)
    assert beacon.is_scored
    assert not simple.is_scored
    for name in ("own/(4)Mine.SC2Map", "own/(4)Mine", "(4)Mine"):
        own = find_map(name, folder)
        assert (own.name, own.path, own.players) == ("(4)Mine", "own/(4)Mine.SC2Map", 4)
    assert set(MINI_GAMES) < set(known_maps())


def test_maps_that_are_not_there_are_refused(folder: Path) -> None:
    with pytest.raises(GameNotFoundError, match=r"Simple96 is not installed at .*Maps/Melee/Simple96.SC2Map; unpack"):
        find_map("Simple96", folder)
    with pytest.raises(UnknownNameError, match="did you mean Simple64"):
        find_map("simple64", folder)


def test_the_programs_environment_names_the_games_libraries(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/elsewhere")
    assert program_environment(folder)["LD_LIBRARY_PATH"] == f"/elsewhere:{folder}/Libs/"
    monkeypatch.delenv("LD_LIBRARY_PATH")
    assert program_environment(folder)["LD_LIBRARY_PATH"] == f"{folder}/Libs/"

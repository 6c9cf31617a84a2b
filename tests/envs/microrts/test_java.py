from __future__ import annotations

import importlib.util
import shutil
import subprocess
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

import envs.microrts
from envs.errors import GameStartError
from envs.microrts import jvm, layout
from envs.microrts.installation import BRIDGE_JAR, game_jars
from envs.microrts.jvm import java_class

JAVA_DIRECTORY = Path(envs.microrts.__file__).parent / "java"


def _build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("microrts_java_build", JAVA_DIRECTORY / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _manifest() -> dict[str, str]:
    with zipfile.ZipFile(BRIDGE_JAR) as archive:
        text = archive.read("META-INF/MANIFEST.MF").decode().replace("\r\n ", "")
    return dict(line.split(": ", 1) for line in text.split("\r\n") if line)


def test_the_jar_names_the_sources_it_was_built_from() -> None:
    assert _manifest()["Source-SHA256"] == _build().source_sha256(), "run: python envs/microrts/java/build.py"


def test_the_jar_holds_only_our_classes() -> None:
    with zipfile.ZipFile(BRIDGE_JAR) as archive:
        names = [name for name in archive.namelist() if not name.startswith("META-INF/")]
    assert names
    assert all(name.startswith("perceiverstar/") for name in names)
    assert BRIDGE_JAR.stat().st_size < 100_000


def test_the_jar_is_what_the_sources_compile_to() -> None:
    javac = shutil.which("javac")
    if javac is None:
        pytest.skip("no Java compiler")
    version = subprocess.run([javac, "-version"], check=True, capture_output=True, text=True).stdout.split()[1]
    compiled = _build().compile_sources(game_jars()[:1], javac)
    with zipfile.ZipFile(BRIDGE_JAR) as archive:
        shipped = {name: archive.read(name) for name in archive.namelist() if name.endswith(".class")}
    assert sorted(shipped) == sorted(compiled)
    if version.startswith("17."):  # other compilers may order constants differently
        assert shipped == compiled


def test_java_is_not_used_in_a_forked_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has none of Java's threads there, and would wait for them for ever."""
    java_class("java.lang.Object")
    assert jvm.java_runs()
    monkeypatch.setattr(jvm.os, "getpid", lambda: -1)
    assert not jvm.java_runs()
    with pytest.raises(GameStartError, match="make processes with spawn or forkserver"):
        java_class("java.lang.Object")


def test_java_and_python_agree_on_the_layout() -> None:
    java = java_class("perceiverstar.Layout")
    assert int(java.CATEGORIES) == len(layout.ENTITY_CATEGORY_NAMES)
    assert int(java.VALUES) == len(layout.ENTITY_VALUE_NAMES)
    assert int(java.SCALARS) == len(layout.SCALAR_NAMES)
    assert int(java.MASK_SIZE) == layout.ACTION_MASK_SIZE
    assert int(java.REWARD_TERMS) == len(layout.REWARD_TERM_NAMES)
    assert int(java.COUNT_LIMIT) == layout.COUNT_LIMIT
    offsets = [0]
    for size in layout.ACTION_COMPONENTS.values():
        offsets.append(offsets[-1] + size)
    assert [int(offset) for offset in java.MASK_OFFSETS] == offsets
    for name in ("UNIT_TYPE", "OWNER", "CURRENT_ACTION", "ACTION_DIRECTION", "PRODUCED_TYPE", "AWAITS_ORDER"):
        assert int(getattr(java, name)) == getattr(layout, name)
        assert layout.ENTITY_CATEGORY_NAMES[getattr(layout, name)] == name.lower()
    assert layout.SCALAR_NAMES[int(java.RESOURCES_LEFT)].startswith("resources_left")
    assert layout.SCALAR_NAMES[int(java.OWN_COUNTS)] == "own_base_div_10"
    assert layout.SCALAR_NAMES[int(java.ENEMY_COUNTS)] == "enemy_base_div_10"
    assert layout.ENTITY_VALUE_NAMES[int(java.TARGET_X)] == "attack_target_x"
    assert layout.ENTITY_VALUE_NAMES[int(java.MAP_X)] == "map_x"
    assert layout.ENTITY_VALUE_NAMES[int(java.NEAREST_ENEMY_X)] == "nearest_enemy_x_div_8"
    assert layout.ENTITY_VALUE_NAMES[int(java.NEAREST_ENEMY_Y)] == "nearest_enemy_y_div_8"
    for index, name in enumerate(layout.REWARD_TERM_NAMES):
        constant = "ATTACK_TERM" if name == "attack" else name.upper()
        assert int(getattr(java, constant)) == index

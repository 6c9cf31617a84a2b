from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from envs.errors import GameNotFoundError, UnknownNameError
from envs.microrts import game_version, installation, list_maps
from envs.microrts.installation import EXTRA_INSTALL_COMMAND, GAME_INSTALL_COMMAND
from envs.microrts.layout import layout_sha256
from tests.envs.microrts.games import MAP_8


def test_maps_are_listed_and_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = list_maps()
    assert MAP_8 in names
    assert len(names) > 100
    assert installation.map_size(installation.resolve_map("maps/NoWhereToRun9x8.xml")) == (9, 8)
    own = tmp_path / "own.xml"
    own.write_bytes(installation.resolve_map(MAP_8).read_bytes())
    assert installation.resolve_map(str(own)) == own
    monkeypatch.chdir(tmp_path)
    assert installation.resolve_map("own.xml") == own, "Java keeps the working directory that it was started in"
    assert installation.map_size(own) == (8, 8)
    own.write_bytes(installation.resolve_map("maps/NoWhereToRun9x8.xml").read_bytes())
    assert installation.map_size(own) == (9, 8), "a map may be written anew"


def test_a_file_that_is_no_map_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.xml"
    wrong.write_text("<a/>")
    with pytest.raises(ValueError, match="not a µRTS map"):
        installation.map_size(wrong)
    with pytest.raises(UnknownNameError, match=r"maps/8x8/basesWorkers8x8A\.xml"):
        installation.resolve_map("maps/8x8/basesWorkers8x8a.xml")


def test_a_missing_game_is_answered_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MICRORTS_HOME", str(tmp_path))
    with pytest.raises(GameNotFoundError) as caught:
        installation.game_directory()
    assert str(caught.value).endswith(GAME_INSTALL_COMMAND)
    monkeypatch.delenv("MICRORTS_HOME")
    monkeypatch.setattr(installation.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(GameNotFoundError) as caught:
        installation.game_directory()
    assert str(caught.value).endswith(GAME_INSTALL_COMMAND)


def test_missing_java_is_answered_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(GameNotFoundError) as caught:
        installation.java_library()
    assert str(caught.value).endswith(EXTRA_INSTALL_COMMAND)
    monkeypatch.delenv("JAVA_HOME")
    assert Path(installation.java_library()).is_file()
    monkeypatch.setattr(installation.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(GameNotFoundError) as caught:
        installation.java_library()
    assert str(caught.value).endswith(EXTRA_INSTALL_COMMAND)


def test_a_missing_bridge_is_answered_with_the_line_that_installs_it() -> None:
    script = (
        "import sys; sys.modules['jpype'] = None\n"
        "from envs.microrts import MicroRTSVectorEnv\n"
        f"MicroRTSVectorEnv(map_path={MAP_8!r}, opponents=['PassiveAI'])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.stderr.strip().endswith(EXTRA_INSTALL_COMMAND)


def test_the_game_is_recognised_by_its_version() -> None:
    version = game_version()
    assert version["game"] == "microrts"
    assert version["layout_sha256"] == layout_sha256()
    assert version["game_build_sha256"] == installation.jars_sha256()


def test_the_virtual_machine_leaves_signals_and_output_to_python() -> None:
    script = (
        "import os, signal, time\n"
        "from envs.microrts import MicroRTSVectorEnv\n"
        "seen = []\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background job ignores it
        "signal.signal(signal.SIGTERM, lambda *_: seen.append('term'))\n"
        "MicroRTSVectorEnv.__del__ = MicroRTSVectorEnv.close\n"  # as Gymnasium before 1.3 has it
        f"env = MicroRTSVectorEnv(map_path={MAP_8!r}, opponents=['PassiveAI']); env.reset()\n"
        "from envs.microrts.jvm import java_class\n"
        "java_class('java.lang.System').out.println('noise')\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        # Another thread may be handed the signal, so that Python hears of it a little later.
        "deadline = time.monotonic() + 20\n"
        "while not seen and time.monotonic() < deadline: time.sleep(0.01)\n"
        "try:\n    os.kill(os.getpid(), signal.SIGINT); time.sleep(20)\n"
        "except KeyboardInterrupt:\n    seen.append('int')\n"
        "print(seen)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert result.stdout.strip() == "['term', 'int']"
    assert result.stderr == ""

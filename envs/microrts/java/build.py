"""Builds perceiverstar-bridge.jar from src/; run it with the game installed and a Java compiler on the path."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = HERE / "src"
JAR = HERE / "perceiverstar-bridge.jar"
RELEASE = "17"
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)  # the same for every build, so that equal classes make equal jars


def source_sha256() -> str:
    """Return the hash of the Java sources, by path and content."""
    digest = hashlib.sha256()
    for path in sorted(SOURCES.rglob("*.java")):
        content = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{path.relative_to(SOURCES).as_posix()}\n{len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def manifest() -> str:
    """Return the jar's manifest, which names the sources it was built from."""
    lines = ["Manifest-Version: 1.0", f"Java-Release: {RELEASE}", f"Source-SHA256: {source_sha256()}"]
    # A line has at most 72 bytes; a space continues the one before.
    return "".join(f"{line[:70]}\r\n {line[70:]}\r\n" if len(line) > 70 else f"{line}\r\n" for line in lines) + "\r\n"


def compile_sources(class_path: list[Path], javac: str = "javac") -> dict[str, bytes]:
    """Return the compiled classes by their path inside the jar."""
    with tempfile.TemporaryDirectory() as directory:
        sources = [str(path) for path in sorted(SOURCES.rglob("*.java"))]
        classes = ":".join(str(path) for path in class_path)
        options = ["-Xlint:all", "-Werror", "--release", RELEASE, "-cp", classes, "-d", directory]
        subprocess.run([javac, *options, *sources], check=True)
        return {
            path.relative_to(directory).as_posix(): path.read_bytes()
            for path in sorted(Path(directory).rglob("*.class"))
        }


def write_jar(classes: dict[str, bytes], jar: Path = JAR) -> None:
    """Write classes and manifest into a jar."""
    with zipfile.ZipFile(jar, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in [("META-INF/MANIFEST.MF", manifest().encode()), *classes.items()]:
            archive.writestr(zipfile.ZipInfo(name, _TIMESTAMP), content, zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parents[2]))
    from envs.microrts.installation import game_jars

    write_jar(compile_sources(game_jars()[:1]))

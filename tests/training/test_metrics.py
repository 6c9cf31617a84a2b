"""What was logged can be read again, by TensorBoard and by any reader of JSON lines."""

import errno
import json
import math
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.summary.writer import event_file_writer

from training.metrics import CompositeLogger, JsonLinesLogger, MetricLogger, TensorBoardLogger

CONFIG = {"agent": {"width": 64, "name": "small"}, "learner": {"gamma": 0.99, "discounts": (0.9, 1.0), "delta": None}}
FLAT = {
    "agent.width": 64,
    "agent.name": "small",
    "learner.gamma": 0.99,
    "learner.discounts": "[0.9, 1.0]",
    "learner.delta": "null",
}


def read_events(directory: Path) -> EventAccumulator:
    events = EventAccumulator(str(directory))
    events.Reload()
    return events


def scalars(directory: Path, name: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in read_events(directory).Scalars(name)]


def read_lines(path: Path) -> list[dict[str, Any]]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return [json.loads(line, parse_constant=refuse) for line in path.read_text().splitlines()]


def test_tensorboard_gets_every_scalar(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path)
    logger.log(10, {"losses/value_loss": 0.5, "charts/SPS": 100})
    logger.log(2**33, {"losses/value_loss": 0.25})
    logger.close()
    assert scalars(tmp_path, "losses/value_loss") == [(10, 0.5), (2**33, 0.25)]
    assert scalars(tmp_path, "charts/SPS") == [(10, 100.0)]


def test_a_resumed_run_hides_what_it_plays_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The number that ends a file's name: 10 sorts before 9.
    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(9))
    first = TensorBoardLogger(tmp_path)
    for step in (10, 20, 30):
        first.log(step, {"x": 1.0})
    first.close()
    second = TensorBoardLogger(tmp_path, resumed_at=20)
    second.log(30, {"x": 2.0})
    second.close()
    assert scalars(tmp_path, "x") == [(10, 1.0), (20, 1.0), (30, 2.0)]


def test_hparams_belong_to_the_run_itself(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path)
    logger.log(1, {"charts/SPS": 1.0})
    logger.hparams(CONFIG, {"evaluation/win_rate/CoacAI": 0.75})
    logger.close()
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []
    content = read_events(tmp_path).SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    noted = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    values = {name: getattr(value, value.WhichOneof("kind")) for name, value in noted.items()}
    assert values == FLAT
    assert scalars(tmp_path, "evaluation/win_rate/CoacAI")[0][1] == 0.75


def test_json_lines_hold_every_call_at_once(tmp_path: Path) -> None:
    logger = JsonLinesLogger(tmp_path / "metrics.jsonl")
    logger.log(1, {"a": 0.5, "b": math.nan, "c": -math.inf})
    assert read_lines(tmp_path / "metrics.jsonl") == [{"step": 1, "a": 0.5, "b": None, "c": None}]
    logger.hparams(CONFIG, {"win_rate": 0.9})
    logger.close()
    assert read_lines(tmp_path / "metrics.jsonl")[1] == {"hparams": FLAT, "results": {"win_rate": 0.9}}


def test_json_lines_go_on_after_a_line_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"st')
    JsonLinesLogger(path).log(2, {})
    assert path.read_text() == '{"step": 1}\n{"st\n{"step": 2}\n'
    JsonLinesLogger(path).log(3, {})
    assert path.read_text().endswith('{"step": 2}\n{"step": 3}\n')


def test_metrics_that_cannot_be_written_name_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    logger = JsonLinesLogger(folder / "metrics.jsonl")
    (folder / "metrics.jsonl").unlink()
    folder.rmdir()
    with pytest.raises(OSError, match=r"could not write metrics.*run/metrics\.jsonl") as caught:
        logger.log(1, {})
    assert caught.value.errno == errno.ENOENT


def test_composite_passes_everything_on(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.jsonl", "b.jsonl")]
    logger: MetricLogger = CompositeLogger([JsonLinesLogger(path) for path in paths])
    logger.log(1, {"x": 1.0})
    logger.hparams({"y": 2}, {})
    logger.close()
    assert read_lines(paths[0]) == read_lines(paths[1])
    assert len(read_lines(paths[0])) == 2


def test_composite_closes_all(tmp_path: Path) -> None:
    boards = [tmp_path / "a", tmp_path / "b"]
    logger = CompositeLogger([TensorBoardLogger(board) for board in boards])
    logger.log(1, {"x": 1.0})
    logger.close()
    assert [scalars(board, "x") for board in boards] == [[(1, 1.0)]] * 2

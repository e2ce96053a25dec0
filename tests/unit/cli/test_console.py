import errno
import io

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from microplex.cli.console import WIDTH, Commands, check_output, describe_error, plain_table, split_names, whole_file
from microplex.errors import DataError


def run(error):
    app = typer.Typer(cls=Commands)

    @app.callback()
    def main():
        """Two commands, so that there is a group."""

    @app.command()
    def fail():
        raise error

    return CliRunner().invoke(app, ["fail"])


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (DataError("column 'a[b]' is [red]bad[/red]."), "column 'a[b]' is [red]bad[/red]."),
        (FileNotFoundError("no file 'x.csv'."), "no file 'x.csv'."),
        (OSError(errno.ENOSPC, "No space left on device", "out.csv"), "No space left on device: 'out.csv'."),
        (DataError("long-" * 60), "long-" * 60),
        (MemoryError("Unable to allocate 7 TiB"), "Unable to allocate 7 TiB"),
    ],
)
def test_a_foreseen_error_is_one_line_on_stderr_and_the_status_1(error, text):
    done = run(error)
    assert done.exit_code == 1
    assert done.stderr.rstrip("\n") == f"Error: {text}"
    assert done.stdout == ""


def test_an_interruption_has_its_own_status():
    done = run(KeyboardInterrupt())
    assert (done.exit_code, done.stderr) == (130, "Interrupted.\n")


def test_a_bug_keeps_its_traceback():
    assert isinstance(run(ZeroDivisionError()).exception, ZeroDivisionError)


def test_an_error_is_described_by_its_words():
    assert describe_error(OSError(errno.EIO, "Input/output error")) == "Input/output error."


@pytest.mark.parametrize(
    ("text", "names"),
    [("", []), ("a", ["a"]), (" a , b,", ["a", "b"]), ('"a, b",c', ["a, b", "c"]), ("a b,c", ["a b", "c"])],
)
def test_names_are_separated_by_commas(text, names):
    assert split_names(text) == names


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    goal = tmp_path / "note.txt"
    goal.write_text("old")
    with pytest.raises(FileNotFoundError), whole_file(goal) as file:
        file.with_name("half.txt").write_text("half")
    assert [f.name for f in tmp_path.iterdir()] == ["note.txt"]
    assert goal.read_text() == "old"


def test_an_output_is_refused_before_any_work(tmp_path):
    check_output(tmp_path / "a.CSV", (".csv",))
    with pytest.raises(typer.BadParameter, match=r"must end in \.parquet or \.csv"):
        check_output(tmp_path / "a.xlsx", (".parquet", ".csv"))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder"):
        check_output(tmp_path / "folder.csv", (".csv",))
    with pytest.raises(FileNotFoundError, match="Make it first"):
        check_output(tmp_path / "none" / "a.csv", (".csv",))


def test_an_output_that_may_not_be_written_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(PermissionError, match="no permission"):
        check_output(tmp_path / "a.csv", (".csv",))


def test_words_stand_left_and_numbers_right():
    table = plain_table("name", "value")
    table.add_row("a", "1")
    stream = io.StringIO()
    Console(file=stream, width=WIDTH).print(table)
    assert [line.rstrip() for line in stream.getvalue().splitlines()] == ["name  value", "a         1"]

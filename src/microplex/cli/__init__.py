"""The command line: ``microplex synthesize``, ``synthesize-households``, ``reweight``, ``report`` and others.

Commands load what they need when they run, so that ``microplex --help`` answers at once.
"""

from typing import Annotated

import typer

from microplex import __version__
from microplex.cli.console import Commands, console
from microplex.cli.demo import demo
from microplex.cli.fuse import fuse
from microplex.cli.households import synthesize_households
from microplex.cli.impute import impute
from microplex.cli.inspect import inspect_table
from microplex.cli.report import report
from microplex.cli.reweight import reweight
from microplex.cli.synthesize import synthesize

app = typer.Typer(
    name="microplex",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("synthesize", no_args_is_help=True)(synthesize)
app.command("synthesize-households", no_args_is_help=True)(synthesize_households)
app.command("fuse", no_args_is_help=True)(fuse)
app.command("impute", no_args_is_help=True)(impute)
app.command("reweight", no_args_is_help=True)(reweight)
app.command("report", no_args_is_help=True)(report)
app.command("inspect", no_args_is_help=True)(inspect_table)
app.command("demo")(demo)

__all__ = ["app"]


def _show_version(wanted: bool) -> None:
    if wanted:
        console().print(f"microplex {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """Survey microdata: learn the law of some columns given others and generate from it; weight it to known totals."""

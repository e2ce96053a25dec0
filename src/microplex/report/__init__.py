"""Reports: one HTML file that says and shows how synthetic rows compare with real ones."""

from microplex.report.write import write_report

__all__ = ["write_report"]

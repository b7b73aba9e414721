"""Reports, from the files of a run directory alone: needs no torch and no data."""

from mmml.report.html import write_report
from mmml.report.tables import panel_tables

__all__ = ["panel_tables", "write_report"]

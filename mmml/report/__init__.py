"""Reports, from the files of a run directory alone: needs no torch and no data."""

from mmml.report.differences import difference_tables
from mmml.report.html import write_report
from mmml.report.tables import panel_tables

__all__ = ["difference_tables", "panel_tables", "write_report"]

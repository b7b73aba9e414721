"""Reports, made only from the files of a run directory, without torch and data."""

from mmml.reporting.differences import difference_tables
from mmml.reporting.html import write_report
from mmml.reporting.tables import result_tables

__all__ = ["difference_tables", "result_tables", "write_report"]

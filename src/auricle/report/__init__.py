"""What an evaluation found: values, and a page for people."""

from auricle.report.page import report_html
from auricle.report.readable import Readable, ReadableScores, compare, is_readable
from auricle.report.results import Failure, Group, Report, Row

__all__ = ["Failure", "Group", "Readable", "ReadableScores", "Report", "Row", "compare", "is_readable", "report_html"]

"""What an evaluation found: values, and a page for people."""

from auricle.report.page import report_html
from auricle.report.results import Failure, Group, Report, Row

__all__ = ["Failure", "Group", "Report", "Row", "report_html"]

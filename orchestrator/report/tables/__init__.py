"""Every table of the page: what was measured, beside what the paper has, and how it came about."""

from orchestrator.report.tables.overview import overview
from orchestrator.report.tables.ranks import ranks_together
from orchestrator.report.tables.study import OfStudy, of

__all__ = ["OfStudy", "of", "overview", "ranks_together"]

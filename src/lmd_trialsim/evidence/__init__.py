"""What is known of the disease: every cited number, its source, and the types that carry a number's origin."""

from lmd_trialsim.evidence.claims import Claim, Row, check_citable, row, rows, search

__all__ = ["Claim", "Row", "check_citable", "row", "rows", "search"]

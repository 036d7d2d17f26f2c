"""Simulate adaptive trials in leptomeningeal metastatic disease."""

__version__ = "0.1.0"

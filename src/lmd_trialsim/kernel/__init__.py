"""Compiled building blocks: seams, addressed random numbers, special functions."""

"""Posteriors by PyMC: the models of designs written a second time, and what is made of their draws.

Reads what a person wrote (`designs`), and nothing that kernels are made of. PyMC and nutpie are imported where they are
used: they come with the extra `check`.
"""

"""Measures the program: trials a second beside kernels written for just one design, start-up, memory."""

"""Plays trials: the loop, chunks of replicates, threads, and what is added up. It knows seams, not families."""

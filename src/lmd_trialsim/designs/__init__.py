"""What a trial does: the face of each family in YAML, and how it lowers to the one plan."""

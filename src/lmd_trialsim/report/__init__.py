"""Results for people and for programs: reads them, computes nothing."""

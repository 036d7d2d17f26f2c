"""Who arrives, and what really happens to them."""

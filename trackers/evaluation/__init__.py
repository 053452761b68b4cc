"""Running and judging: protocols, lanes, measures and statistics (numpy only)."""

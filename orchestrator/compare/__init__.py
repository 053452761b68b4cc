"""Our numbers beside those of the official toolkits, on the same result files: python -m orchestrator.compare."""

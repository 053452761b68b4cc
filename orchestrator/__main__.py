"""`python -m orchestrator` is `trackmeet`."""

from orchestrator.cli import main

main()

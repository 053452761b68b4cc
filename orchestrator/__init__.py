"""The logistics: what runs where, and what is remembered."""

"""What a finished study looks like: tables, claims, figures and the page."""

"""Plots of results: descriptions in Vega-Lite, drawn in the page, and as SVG and PDF for papers."""

"""Sight: what a camera shows, as one typed scene."""

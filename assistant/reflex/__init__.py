"""Reflexes: commands and questions that need no model."""

"""The HTTP side of the OpenAI API: one file for each thing that can be asked for."""

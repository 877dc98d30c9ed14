"""The program."""

import audio as audio  # before anything that loads onnxruntime: it keeps that from reporting on itself

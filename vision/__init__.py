"""Sight: what a camera shows, as one typed scene.

Nothing here reports on itself: onnxruntime would, to its maker, unless it is told before it is loaded.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

"""The router's settings, from the configuration."""

from dataclasses import replace

from assistant.config import Config, OwnPreset
from assistant.router.decision import PRESETS, Preset
from assistant.router.plan import Device
from assistant.router.router import RouterSettings


def router_settings(config: Config) -> RouterSettings:
    """Return how turns are routed."""
    presets = PRESETS | {name: _own(name, preset) for name, preset in config.router.presets.items()}
    return RouterSettings(
        preset=presets[config.router.preset],
        presets=presets,
        device=Device(quality=config.router.device_quality, context_tokens=config.llm.context_tokens),
        bridges=config.router.bridges,
        bridge_after_s=config.router.bridge_after_s,
    )


def _own(name: str, preset: OwnPreset) -> Preset:
    return replace(PRESETS[preset.like], name=name, **preset.model_dump(exclude={"like"}, exclude_none=True))

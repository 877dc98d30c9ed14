from pathlib import Path

import pytest

from assistant.config import ConfigError, load
from assistant.router.build import router_settings
from assistant.router.decision import PRESETS, Preset


def written(path: Path, text: str) -> Path:
    file = path / "my.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_defaults() -> None:
    settings = router_settings(load())
    assert settings.preset == PRESETS["balanced"]
    assert settings.presets == PRESETS
    assert (settings.device.quality, settings.device.context_tokens) == (0.3, 4096)


def test_a_preset_of_ones_own(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """
        [router]
        preset = "mine"
        [router.presets.mine]
        like = "cheap"
        floor = "lan"
        delegate = true
        """,
    )
    assert router_settings(load(file=file)).preset == Preset(
        "mine", floor="lan", speed=0.1, cost=200.0, hedge="never", delegate=True
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('preset = "bset"', "[router]: There is no preset 'bset'. The presets are: private, balanced, best, cheap."),
        ("bridge = false", "[router] bridge: there is no such key. Did you mean 'bridges'?"),
        ("[router.presets.mine]\nflor = 1", "[router] presets.mine.flor: there is no such key. Did you mean 'floor'?"),
        ("[router.presets.mine]\nspeed = -1", "[router] presets.mine.speed: it should be greater than or equal to 0"),
    ],
)
def test_mistakes_name_themselves(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(file=written(tmp_path, f"[router]\n{text}"))
    assert sentence in str(caught.value)

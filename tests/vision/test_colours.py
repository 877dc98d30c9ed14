import numpy as np
import pytest

from tests.vision.files import halves, photo_file, pixels, plain
from vision.colours import main_colours
from vision.frames import decode


@pytest.mark.parametrize(
    ("shown", "name"),
    [
        ("#ff0000", "red"), ("#8b0000", "red"), ("#ff8c00", "orange"), ("#ffe600", "yellow"), ("#00ff00", "green"),
        ("#006400", "green"), ("#00b4b4", "turquoise"), ("#0000cd", "blue"), ("#87ceeb", "blue"),
        ("#800080", "purple"), ("#ff1493", "pink"), ("#ffc0cb", "pink"), ("#6e3c14", "brown"), ("#d2b48c", "brown"),
        ("#808080", "grey"), ("#fafafa", "white"), ("#0a0a0a", "black"),
    ],
)  # fmt: skip
def test_a_colour_has_its_plain_name(shown: str, name: str) -> None:
    assert main_colours(pixels(plain(shown))) == (name,)


def test_the_largest_comes_first_and_specks_do_not_count() -> None:
    picture = pixels(halves(100, 100))
    picture[:30] = 255
    picture[0, :10] = (0, 255, 0)
    assert main_colours(picture) == ("blue", "white", "red")


def test_a_confetti_of_colours_has_at_least_one_and_at_most_three() -> None:
    noise = np.random.default_rng(3).integers(0, 255, (48, 48, 3), np.uint8)
    assert 1 <= len(main_colours(noise)) <= 3


@pytest.mark.parametrize(
    ("name", "colour"), [("pelican.jpg", "blue"), ("surfer.jpg", "turquoise"), ("cat_chelsea.jpg", "brown")]
)
def test_photos(name: str, colour: str) -> None:
    assert colour in main_colours(decode(photo_file(name)))

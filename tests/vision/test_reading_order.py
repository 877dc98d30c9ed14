from hypothesis import given
from hypothesis import strategies as st

from vision.reading_order import reading_order
from vision.types import Box, TextLine


def line(text: str, left: float, top: float, right: float, height: float = 0.04) -> TextLine:
    return TextLine(text, Box(left, top, right, top + height), 1.0)


def read(*lines: TextLine) -> str:
    return " ".join(each.text for each in reading_order(lines[::-1], 4 / 3))


def test_nothing() -> None:
    assert reading_order([], 1.0) == ()


def test_lines_from_top_to_bottom() -> None:
    assert read(line("a", 0.1, 0.1, 0.8), line("b", 0.1, 0.2, 0.7), line("c", 0.3, 0.3, 0.9)) == "a b c"


def test_words_of_a_row_from_left_to_right() -> None:
    assert read(line("a", 0.1, 0.11, 0.3), line("b", 0.4, 0.1, 0.6), line("c", 0.7, 0.105, 0.9)) == "a b c"


def test_a_dish_and_its_price_belong_together() -> None:
    dishes = [line(f"dish{number}", 0.1, 0.1 * number, 0.5) for number in range(1, 4)]
    prices = [line(f"price{number}", 0.8, 0.1 * number, 0.88) for number in range(1, 4)]
    assert read(*dishes, *prices) == "dish1 price1 dish2 price2 dish3 price3"


def test_columns_one_after_the_other_between_headline_and_footer() -> None:
    lefts = [line(f"l{number}", 0.05, 0.2 + 0.05 * number, 0.45) for number in range(4)]
    rights = [line(f"r{number}", 0.55, 0.22 + 0.05 * number, 0.95) for number in range(4)]
    headline, footer = line("headline", 0.1, 0.05, 0.9, 0.1), line("footer", 0.1, 0.8, 0.9)
    assert read(headline, *lefts, *rights, footer) == "headline l0 l1 l2 l3 r0 r1 r2 r3 footer"


def test_columns_whose_lines_are_level() -> None:
    lefts = [line(f"l{number}", 0.05, 0.1 * number, 0.45) for number in range(3)]
    rights = [line(f"r{number}", 0.55, 0.1 * number, 0.95) for number in range(3)]
    assert read(*lefts, *rights) == "l0 l1 l2 r0 r1 r2"


def test_lines_that_slope_stay_apart() -> None:
    """Their boxes are so high that they overlap."""
    assert (
        read(line("a", 0.1, 0.1, 0.9, 0.15), line("b", 0.1, 0.15, 0.9, 0.15), line("c", 0.1, 0.2, 0.9, 0.15)) == "a b c"
    )


parts = st.floats(0, 0.9)
sizes = st.floats(0, 0.5)


@given(st.lists(st.tuples(parts, parts, sizes, sizes), max_size=20), st.floats(0.2, 5))
def test_each_line_is_read_once(places: list[tuple[float, float, float, float]], aspect: float) -> None:
    lines = [
        TextLine(str(number), Box(left, top, left + width, top + height), 1.0)
        for number, (left, top, width, height) in enumerate(places)
    ]
    assert sorted(reading_order(lines, aspect), key=lambda each: int(each.text)) == lines

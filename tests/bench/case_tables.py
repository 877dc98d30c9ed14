"""What the cases are made of: chosen by hand, measured by make_cases.

In an utterance, “ | ” is a pause after words that nobody would take for all, “ || ” one after words that could be.
"""

import re
from typing import Final

from tests.bench.cases import BackchannelKind

SPOKEN_PAUSES: Final[tuple[tuple[str, str], ...]] = (
    ("en_picovoice_large_coffee", "Picovoice | make me a large coffee"),
    ("en_wake_mycroft_wake_up", "hey Mycroft | wake up"),
    ("en_s2i_latte_sugar", "I'd like a medium double shot latte || with sugar"),
    (
        "en_jfk",
        "and so my fellow Americans | ask not | what your country can do for you || "
        "ask what you can do for your country",
    ),
    (
        "en_libri_sorrow",
        "it was the first great sorrow of his life || "
        "it was not so much the loss of the cotton itself but the fantasy | the hopes the dreams built around it",
    ),
    (
        "en_lj_fine_typography",
        "and | it is worth mention in passing | that as an example of fine typography",
    ),
    ("en_sb_small_dog", "the child almost hurt | the small dog"),
    ("en_cv_fossil_fuels", "the fossil fuels include coal | petroleum | and natural gas"),
    ("en_cv_robotics", "developmental robotics is related to | but differs from | evolutionary robotics"),
    (
        "en_azure_language_id",
        "this is testing the language ID with English language || I hope I can get high confidence from language ID",
    ),
    ("es_leopard_arenas", "las arenas son blanquecinas | de grano medio | y tiene muy poca asistencia"),
)

EXCERPTS: Final[tuple[tuple[str, float, float, float, str], ...]] = (
    ("en_azure_katie_steve", 15.12, 17.60, 14.0, "that sounds interesting || I'm going to give this a try"),
)
"""A pause as it was spoken in a longer recording: from and to second, gain in dB, words."""

SPLICED_PAUSES: Final[tuple[tuple[str, str, float], ...]] = (
    ("en_v2j_please_lamp", "would you please turn on the | living room lamp", 0.5),
    ("en_v2j_please_lamp", "would you please | turn on the living room lamp", 0.9),
    ("en_s2p_timer_30s", "set a timer for | thirty seconds", 0.6),
    ("en_s2p_timer_30s", "set a timer || for thirty seconds", 0.35),
    ("en_s2p_weather_new_york", "what's the weather like in | New York", 0.8),
    ("en_s2p_weather_new_york", "what's the weather like || in New York", 0.3),
    ("en_s2p_garage_door_open", "is the | garage door open", 0.4),
    ("en_s2p_lights_off_office", "turn off lights in the | office", 0.7),
    ("en_s2p_lights_off_office", "turn off | lights in the office", 1.0),
    ("en_v2j_what_time_is_it", "what time | is it", 0.25),
    ("en_goog_brooklyn_padded", "how old is the | Brooklyn Bridge", 0.6),
    ("en_azure_kws_weather", "computer | what's the weather like", 0.7),
    ("en_azure_kws_weather", "computer what's the | weather like", 0.3),
    ("en_unmute_seine", "is it safe to swim in | the Seine", 0.5),
    ("en_unmute_seine", "is it safe to | swim in the Seine", 1.1),
    ("en_unmute_dog_or_cat", "should I get a dog || or a cat", 0.5),
    ("en_unmute_dog_or_cat", "should I get | a dog or a cat", 0.8),
    ("en_rhino_americano", "can I have a | medium double shot americano", 0.65),
    ("en_gasst_grapefruit", "how do you say | grapefruit in French", 0.9),
    ("en_gasst_grapefruit", "how do you say grapefruit in | French", 0.4),
    ("en_s2i_house_coffee", "can I get a | double shot medium roast house coffee", 1.2),
    ("en_s2i_dark_roast", "can I have a dark roast house coffee || with lots of sweetener", 0.55),
    ("en_s2i_20oz_mocha", "may I have a twenty ounce | triple shot mocha with a lot of sugar", 0.75),
    (
        "en_s2i_iced_mocha_skim",
        "give me a twenty ounce double shot iced mocha with skim milk and | a little bit of sugar",
        0.45,
    ),
    ("en_s2i_cappuccino_soy", "make me a double shot twelve ounce cappuccino with | a bit of soy milk", 0.4),
    ("en_s2i_mocha_skim", "may I have a double shot dark roast mocha with | some skim milk", 0.85),
    ("en_s2i_brew_americano", "brew a triple shot americano || with a lot of skim milk", 0.3),
    ("en_s2i_latte_sugar", "I'd like a | medium double shot latte with sugar", 1.0),
    ("en_s2i_cappuccino_brown_sugar", "get me a cappuccino with a bit of | brown sugar", 0.6),
    ("en_s2i_cappuccino_milk", "may I have a | twelve ounce cappuccino with milk and a little bit of sweetener", 0.5),
    ("en_sphinx_go_forward", "go forward || ten meters", 0.45),
    ("en_librivox_ill_disposed", "he was not | an ill disposed young man", 0.3),
    (
        "en_librivox_had_he_married",
        "had he married a more amiable woman | he might have been made still more respectable than he was",
        0.8,
    ),
    ("en_sb_one_war", "we are sure that | one war is enough", 0.6),
    ("en_lj_modern", "in being | comparatively modern", 0.2),
    ("en_dflow_book_a_room", "book a | room", 0.35),
)
"""The pause's length in seconds comes last."""

BARGE_INS: Final[tuple[tuple[str, float], ...]] = (
    ("en_v2j_please_lamp", 0.8),
    ("en_s2p_weather_new_york", 1.1),
    ("en_unmute_dog_or_cat", 1.4),
    ("en_gasst_grapefruit", 1.7),
    ("en_rhino_americano", 2.0),
    ("en_s2i_house_coffee", 2.3),
    ("en_s2i_dark_roast", 2.5),
    ("en_s2i_mocha_skim", 0.9),
    ("en_s2i_latte_sugar", 1.2),
    ("en_s2i_cappuccino_brown_sugar", 1.5),
    ("en_s2i_cappuccino_milk", 1.8),
    ("en_s2i_iced_mocha_skim", 2.1),
    ("en_s2p_garage_door_open", 2.4),
    ("en_mycroft_stop", 1.0),
)
"""Recordings with a sharp beginning, and when into the reply they begin."""

BACKCHANNELS: Final[tuple[tuple[str, float, float, float, BackchannelKind, bool], ...]] = (
    ("en_wake_okay_nabu_2", 0.47, 0.93, 6.0, "word", True),
    ("en_sc_yes", 0.43, 0.90, 0.0, "word", True),
    *(
        (f"synthetic_{name}", 0.0, 0.0, 0.0, "word", False)
        for name in (
            "mm_hm_low",
            "mm_hm_middle",
            "mm_hm_high",
            "mm_hm_quick",
            "uh_huh_low",
            "uh_huh_high",
            "hmm",
            "yeah_slow",
            "yeah_quick",
            "right_low",
            "right_high",
            "okay_low",
            "okay_high",
            "i_see",
            "sure",
            "yes",
        )
    ),
    *(
        (f"synthetic_{name}", 0.0, 0.0, 0.0, "cough", False)
        for name in ("cough_once", "cough_twice", "cough_high", "throat_clearing")
    ),
    ("x_sc_doing_the_dishes", 37.48, 37.83, 0.0, "noise", True),
    ("x_sc_doing_the_dishes", 36.97, 37.33, 6.0, "noise", True),
    ("x_mdn_voices_fire", 26.58, 26.90, 0.0, "noise", True),
    ("x_mdn_voices_fire", 23.08, 23.28, 4.0, "noise", True),
    ("x_sc_dude_miaowing", 10.78, 11.12, 8.0, "noise", True),
    ("x_mdn_trex_roar", 0.03, 0.30, 20.0, "noise", True),
)
"""Recording, from and to second (0, 0: all of it), gain in dB, what it is, and whether it was recorded."""

STORIES: Final[tuple[str, ...]] = (
    "Tell me a long story about a ship.",
    "Tell me a long story about a dog and a cat.",
    "Tell me a long story about a farmer and his daughter.",
    "Tell me a long story about the sea.",
)

SPEECHES: Final[tuple[str, ...]] = (
    "Tell me about the city of Paris.",
    "Explain what a volcano is.",
    "How do I bake bread?",
    "Tell me about the moon.",
    "Explain how a bicycle works.",
    "What is the history of the telephone?",
    "Describe an elephant.",
    "Tell me about the Roman Empire.",
    "How do I make a cup of tea?",
    "Explain what photosynthesis is.",
    "Tell me about the ocean.",
    "Describe a typical day on a farm.",
    "What is a rainbow?",
    "Tell me about Albert Einstein.",
    "How does an aeroplane fly?",
    "Describe the city of New York.",
    "Explain what a computer does.",
    "Tell me about the Amazon rainforest.",
    "How do I plant a tree?",
    "What is the difference between a frog and a toad?",
)
"""Questions whose answers take three seconds and more."""


def split(utterance: str) -> tuple[tuple[str, ...], tuple[bool, ...]]:
    """Return the parts between the pauses, and for each pause whether what is said before it could be all."""
    pieces = re.split(r" (\|\|?) ", utterance)
    return tuple(pieces[::2]), tuple(bar == "||" for bar in pieces[1::2])

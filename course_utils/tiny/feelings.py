"""Feelings and metaphors, what they mean, and how the toybox shows it: a lexicon.

A saying has a tenor, what is spoken of, and a phrase that says how it feels: "my heart"
and "a storm at sea". Feelings are the eight corners of pleasure, arousal and dominance
(Mehrabian 1996). What each looks like is this course's choice, not a truth about
feelings: a drawn world needs one answer, so that pictures can be judged.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from course_utils import toybox
from course_utils.images import check_kind, check_whole
from course_utils.toybox.attributes import FACES, HELD_OUT, check_rng
from course_utils.toybox.words import article


@dataclass(frozen=True)
class Feeling:
    """A feeling, the words that carry it, and its look.

    word       the adjective that a meaning line uses
    glad, wild, strong  pleasure, arousal and dominance, each high or low
    felt       what one can feel: "she feels ..."
    adjectives what makes a metaphor of any noun, and `images`, metaphors of their own
    colours    the first that the toy was seen in is taken
    """

    word: str
    glad: bool
    wild: bool
    strong: bool
    colours: tuple[str, str]
    place: str
    ground: str
    felt: tuple[str, ...]
    adjectives: tuple[str, ...]
    images: tuple[str, ...]

    @property
    def corner(self) -> tuple[bool, bool, bool]:
        """Pleasure, arousal, dominance."""
        return self.glad, self.wild, self.strong


def _feeling(word, corner, colours, place, ground, felt, adjectives, images) -> Feeling:
    high = [sign == "+" for sign in corner]
    lists = [tuple(words.split(", ")) for words in (felt, adjectives, images)]
    return Feeling(word, *high, tuple(colours.split()), place, ground, *lists)


FEELINGS = [
    _feeling("joyful", "+++", "yellow orange", "top", "sky",
             "overjoyed, triumphant, delighted",
             "dancing, soaring, singing, laughing, sunny",
             "a kite in the wind, a bell on a feast day, a sunrise, "
             "the first day of summer"),
    _feeling("loving", "++-", "red pink", "right", "plain peach",
             "in love, smitten, enamoured",
             "glowing, blossoming, sparkling, enchanted, fluttering",
             "a moth around a lamp, a letter under the pillow, a spring morning, "
             "a secret garden"),
    _feeling("calm", "+-+", "green blue", "middle", "grass",
             "at peace, relaxed, content",
             "quiet, still, peaceful, sunlit, resting",
             "a lake at dawn, a harbour after the storm, a sunday morning, an old oak"),
    _feeling("tender", "+--", "pink orange", "middle", "plain cream",
             "cosy, touched, sheltered",
             "gentle, soft, warm, sleepy, whispering",
             "a hand on a shoulder, a blanket in winter, a lullaby, a nest"),
    _feeling("grieving", "---", "blue purple", "bottom left", "snow",
             "homesick, heartbroken, lonely",
             "empty, frozen, faded, abandoned, broken",
             "an empty chair, a letter that never came, rain on a window, "
             "a piano without keys"),
    _feeling("envious", "--+", "green brown", "top left", "sand",
             "jealous, spiteful, resentful",
             "bitter, poisoned, sour, thorny, rusty",
             "a mirror with a crack, a cup of vinegar, a thorn under the skin, "
             "a window into another house"),
    _feeling("furious", "-++", "red orange", "middle", "sea",
             "outraged, mad, angry",
             "burning, raging, boiling, roaring, thundering",
             "a storm at sea, a volcano, a kettle on the fire, a clenched fist"),
    _feeling("afraid", "-+-", "purple yellow", "bottom right", "night",
             "anxious, scared, worried",
             "trembling, hunted, shivering, cornered, lost",
             "a bird in a cage, a deer in the headlights, a bridge of glass, "
             "a mouse among cats"),
]  # fmt: skip
NOUNS = """sea forest garden house room bird river lake clock flower city mountain
candle horse cloud ship child road island song""".split()
TENORS = {
    "heart": ("my heart", "her love", "his passion"),
    "star": ("my hope", "our dream", "his wish"),
    "house": ("my home", "our childhood", "her family"),
    "tree": ("my past", "our roots", "his patience"),
    "boat": ("my life", "our journey", "her fate"),
    "car": ("my job", "his career", "our hurry"),
    "cat": ("my cat", "my neighbour", "her sister"),
    "bunny": ("my little brother", "our pet", "her baby"),
    "doll": ("she", "my daughter", "the girl"),
    "fish": ("my secret", "his silence", "her doubt"),
    "duck": ("my aunt", "the singer", "his voice"),
    "ring": ("our marriage", "her promise", "their vow"),
    "diamond": ("my memory", "his treasure", "her pride"),
    "cross": ("my faith", "his duty", "her burden"),
    "circle": ("our friendship", "the team", "my town"),
    "square": ("my mind", "his plan", "the office"),
}
TOY_OF = {tenor: toy for toy, tenors in TENORS.items() for tenor in tenors}
CORNERS = (("glad", "hurt"), ("wild", "still"), ("strong", "weak"))
SORTS = ("felt", "image", "made", "made")  # as often as in sayings
KINDS = ("train", "new phrases", "new turns")


def opposite(feeling: Feeling) -> Feeling:
    """The corner across: what was "no longer" felt leaves this behind."""
    check_kind(feeling, "feeling", Feeling, "feelings.FEELINGS[0]")
    across = tuple(not high for high in feeling.corner)
    return next(other for other in FEELINGS if other.corner == across)


@dataclass(frozen=True)
class Phrase:
    """How something feels: "feels homesick", "is a frozen garden", "is a volcano"."""

    words: str
    feeling: Feeling
    sort: str  # one of SORTS; a made one is of an adjective and a noun
    held_out: bool = False  # never in training

    @property
    def verb(self) -> str:
        """What stands before it: feels, or is."""
        return "feels" if self.sort == "felt" else "is"


def _phrases() -> list[Phrase]:
    found = []
    for feeling in FEELINGS:
        for sort, lists in (("felt", feeling.felt), ("image", feeling.images)):
            found += [Phrase(words, feeling, sort) for words in lists]
        for adjective, noun in product(feeling.adjectives, NOUNS):
            words = article(f"{adjective} {noun}")
            out = zlib.crc32(words.encode()) % 4 == 0
            found.append(Phrase(words, feeling, "made", out))
    return found


PHRASES = _phrases()
_KNOWN = {(phrase.verb, phrase.words): phrase for phrase in PHRASES}


@dataclass(frozen=True)
class Saying:
    """A sentence about a feeling, what it means and the prompt that shows it.

    tenor   a key of TOY_OF, such as "my heart"
    phrase  one of PHRASES
    turned  whether it is "no longer" so: then the opposite feeling is meant
    """

    tenor: str
    phrase: Phrase
    turned: bool = False

    @property
    def text(self) -> str:
        """What is said: "my heart is no longer a storm at sea"."""
        verb = self.phrase.verb
        said = f"{verb} no longer" if verb == "is" else f"no longer {verb}"
        return f"{self.tenor} {said if self.turned else verb} {self.phrase.words}"

    @property
    def feeling(self) -> Feeling:
        """The feeling that is meant."""
        named = self.phrase.feeling
        return opposite(named) if self.turned else named

    @property
    def meaning(self) -> str:
        """What is to be seen, and in what mood: the line between text and prompt."""
        felt, named = self.feeling, self.phrase.feeling
        words = f"not {named.word} but {felt.word}" if self.turned else felt.word
        pairs = zip(CORNERS, felt.corner, strict=True)
        corner = [high if is_high else low for (high, low), is_high in pairs]
        return f"a {TOY_OF[self.tenor]}, {words}: {', '.join(corner)}"

    @property
    def attributes(self) -> dict:
        """What the picture must show, as a Scene's attributes."""
        felt, toy = self.feeling, TOY_OF[self.tenor]
        seen_in = [c for c in felt.colours if c != HELD_OUT[toy]]
        said = {
            "toy": [toy],
            "colour": seen_in[:1],
            "size": ["big" if felt.strong else "small"],
            "pattern": ["striped" if felt.wild else "plain"],
            "place": [felt.place],
            "ground": felt.ground,
            "count": 1,
        }
        mood = {"mood": ["happy" if felt.glad else "sad"]} if toy in FACES else {}
        return said | mood

    @property
    def prompt(self) -> str:
        """The attributes in the toybox's words: what a perfect writer writes."""
        return toybox.say(self.attributes)

    @property
    def kind(self) -> str:
        """Where it belongs: one of KINDS, or "both" new, which nobody asks for."""
        new_turn = self.turned and self.phrase.verb == "is"
        if self.phrase.held_out:
            return "both" if new_turn else "new phrases"
        return "new turns" if new_turn else "train"


def saying(tenor: str, words: str, turned: bool = False) -> Saying:
    """The saying of a tenor and a phrase's words; ValueError if it knows them not."""
    if tenor not in TOY_OF:
        raise ValueError(f"tenor={tenor!r} is not one of: {', '.join(TOY_OF)}")
    for verb in ("is", "feels"):
        if (verb, words) in _KNOWN:
            return Saying(tenor, _KNOWN[verb, words], turned)
    near = PHRASES[3].words
    raise ValueError(f"words={words!r} is no phrase of PHRASES, as {near!r} is")


def sayings(rng: np.random.Generator, n: int, kind: str = "train") -> list[Saying]:
    """n random sayings of one of KINDS; each feeling is named equally often.

    Half of the phrases are of an adjective and a noun. The language model learns from
    "train". In "new phrases" noun and adjective were seen, but never together. In "new
    turns" the metaphor was seen, but never after "no longer", as no metaphor was: only
    what "feels" is turned in training. ValueError for another kind and for n below 1.
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is not one of: {', '.join(KINDS)}")
    check_rng(rng)
    check_whole(n, "n")
    found: list[Saying] = []
    while len(found) < n:
        feeling, sort = _pick(rng, FEELINGS), _pick(rng, SORTS)
        some = [p for p in PHRASES if p.feeling is feeling and p.sort == sort]
        turned = kind == "new turns" or rng.random() < 0.5
        tried = Saying(_pick(rng, list(TOY_OF)), _pick(rng, some), turned)
        if tried.kind == kind:
            found.append(tried)
    return found


def _pick(rng: np.random.Generator, values: Sequence):
    return values[int(rng.random() * len(values))]

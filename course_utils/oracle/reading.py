"""The oracle: a small network that reads every attribute off a picture of the toybox.

It judges what generators draw, so none is ever trained with it. The alignment encoder
of a generator (REPA, Yu et al. 2024) is another network of the same class, of another
width and seed.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from course_utils import models, toybox
from course_utils.images import check_images

# what is asked at each of the nine places, and once of the whole picture
AT_A_PLACE = {"toy": ["nothing", *toybox.ATTRIBUTES["toy"]]} | {
    name: toybox.ATTRIBUTES[name] for name in ("colour", "size", "pattern", "mood")
}
QUESTIONS = AT_A_PLACE | {"ground": toybox.ATTRIBUTES["ground"]}
UNASKED = -100  # the target where there is nothing to answer, such as a car's mood


class Reader(nn.Module):
    """Looks at each of the nine places and answers the QUESTIONS.

    Convolutions make 8x8 maps of a 64x64 picture. Windows of 4x4 of them, two apart,
    are centred on the pixels 16, 32 and 48: the places of the toybox.
    """

    def __init__(self, width: int = 32):
        """Give the maps 3 * width channels."""
        super().__init__()
        self.body = nn.Sequential(
            *_convolution(3, width, stride=2),  # 32x32
            *_convolution(width, width),
            *_convolution(width, 2 * width, stride=2),  # 16x16
            *_convolution(2 * width, 2 * width),
            *_convolution(2 * width, 3 * width, stride=2),  # 8x8
            *_convolution(3 * width, 3 * width),
        )[:-1]  # without the last ReLU, so that the maps have mean 0
        self.look = nn.Conv2d(3 * width, 4 * width, 4, stride=2, bias=False)  # 3x3
        self.standardise = nn.BatchNorm2d(4 * width, affine=False)
        self.heads = nn.ModuleDict(
            {name: nn.Conv2d(4 * width, len(v), 1) for name, v in AT_A_PLACE.items()}
        )
        self.ground = nn.Linear(3 * width, len(QUESTIONS["ground"]))

    def maps(self, images: Tensor) -> Tensor:
        """What is seen where: (B, 3, 64, 64) -> (B, 3 * width, 8, 8), of mean 0."""
        return self.body(images)

    def places(self, maps: Tensor) -> Tensor:
        """What is seen at each place: (B, 3 * width, 8, 8) -> (B, 4 * width, 3, 3)."""
        return self.standardise(self.look(maps.relu()))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Logits: question -> (B, answers, 9); of the ground (B, answers)."""
        maps = self.maps(images)
        at = self.places(maps).relu()  # (B, 4 * width, 3, 3)
        logits = {name: head(at).flatten(2) for name, head in self.heads.items()}
        return logits | {"ground": self.ground(maps.relu().mean((2, 3)))}


def _convolution(before: int, after: int, stride: int = 1) -> list[nn.Module]:
    layer = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
    return [layer, nn.BatchNorm2d(after), nn.ReLU()]


def targets(scenes: Sequence[toybox.Scene]) -> dict[str, Tensor]:
    """The right answers: question -> (B, 9) long, of the ground (B,).

    An answer is its place in the list of QUESTIONS; UNASKED where there is no toy, or
    none with a mood.
    """
    toybox.check_scenes(scenes)
    shape = len(scenes), len(toybox.PLACES)
    answers = {name: torch.full(shape, UNASKED) for name in AT_A_PLACE}
    answers["toy"].zero_()  # nothing
    for b, scene in enumerate(scenes):
        for thing in scene.things:
            for name, values in AT_A_PLACE.items():
                value = getattr(thing, name)
                if value is not None:
                    answers[name][b, thing.cell] = values.index(value)
    grounds = [QUESTIONS["ground"].index(scene.ground) for scene in scenes]
    return answers | {"ground": torch.tensor(grounds)}


def reader() -> Reader:
    """The oracle that the course ships, frozen; `reader().facts` is its config.json."""
    return models.network("oracle", Reader)


def make_reader(weights: dict[str, Tensor], config: dict) -> Reader:
    """A frozen reader from weights of any precision and its config."""
    return models.frozen(Reader(**config["net"]), weights, config)


def read(images: Tensor, net: Reader | None = None) -> list[dict]:
    """What pictures (B, 3, 64, 64) in [-1, 1] show, each like `Scene.attributes`.

    Toys come in reading order; a picture without any has empty lists and count 0. One
    more key: `confidence`, a dict attribute -> probability of its least sure answer.
    """
    readings = []
    for logits in _batches(reader() if net is None else net, images):
        sure = {name: x.softmax(1).max(1) for name, x in logits.items()}
        for b in range(len(logits["ground"])):
            answers = {name: (v[b], k[b]) for name, (v, k) in sure.items()}
            readings.append(_reading(answers))
    return readings


def _reading(answers: dict[str, tuple[Tensor, Tensor]]) -> dict:
    """One picture's dict, from question -> (probability, answer), each (9,) or ()."""
    cells = answers["toy"][1].nonzero().flatten().tolist()
    said, confidence = {}, {"toy": answers["toy"][0].min().item()}
    for name, values in AT_A_PLACE.items():
        probability, answer = answers[name]
        said[name] = [values[answer[cell]] for cell in cells]
        if cells and name not in ("toy", "mood"):
            confidence[name] = probability[cells].min().item()
    faces = [cell for cell, t in zip(cells, said["toy"], strict=True) if _has_face(t)]
    moods = said.pop("mood")
    said["place"] = [toybox.PLACES[cell] for cell in cells]
    if faces:
        pairs = zip(moods, said["toy"], strict=True)
        said["mood"] = [mood if _has_face(toy) else None for mood, toy in pairs]
        confidence["mood"] = answers["mood"][0][faces].min().item()
    probability, answer = answers["ground"]
    said |= {"ground": QUESTIONS["ground"][answer], "count": len(cells)}
    confidence["ground"] = probability.item()
    relation = toybox.relation_of(cells)
    said |= {"relation": relation} if relation else {}
    return said | {"confidence": confidence}


def _has_face(toy: str) -> bool:
    return toy in toybox.FACES


def features(images: Tensor, net: Reader | None = None) -> Tensor:
    """What tiny-FID compares: (B, 3, 64, 64) in [-1, 1] -> (B, D).

    The mean over the nine places of what is seen there.
    """
    net = reader() if net is None else net
    found = _batches(net, images, lambda x: net.places(net.maps(x)).mean((2, 3)))
    return torch.cat(list(found))


def _batches(net: Reader, images: Tensor, function=None):
    """Apply net, or a function of it, to checked images, 100 at a time."""
    check_images(images, 3, 64)
    if not isinstance(net, Reader):
        raise ValueError(f"net must be a Reader, not {type(net).__name__}")
    with torch.no_grad():
        for batch in images.detach().split(100):
            yield (function or net)(batch.to(net.ground.weight))

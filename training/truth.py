"""What is true of a scene as the model says it: in location bins, not in pixels."""

from dataclasses import dataclass

from florence_annotate.geometry.locations import to_bin
from florence_annotate.shapes.scenes import Polygon, Scene
from florence_annotate.tasks import LOCATION_BINS

POLYGON_POINTS = 12
"""The most points that an answer's polygon has: a cross has as many, and an ellipse gets them."""

Bins = tuple[int, ...]
"""Location bins, x and y in turn: two points of a box, or the points of a polygon."""


@dataclass(frozen=True, slots=True)
class Target:
    """An object as the answers name it."""

    shape: str
    colour: str
    bins: Bins
    """The box: left, top, right, bottom."""
    polygon: Bins = ()
    """The outline, clockwise from the highest corner (the left one of two)."""

    @property
    def phrase(self) -> str:
        """Colour and shape, as in `red star`."""
        return f"{self.colour} {self.shape}"

    def matches(self, phrase: str) -> bool:
        """Whether a phrase (`star`, `red star`) describes this object."""
        return phrase in (self.shape, self.phrase)


@dataclass(frozen=True, slots=True)
class PrintedWord:
    """A word as the answers say it."""

    text: str
    bins: Bins
    """The box: left, top, right, bottom."""


@dataclass(frozen=True, slots=True)
class Truth:
    """All that can be asked about a scene."""

    objects: tuple[Target, ...] = ()
    words: tuple[PrintedWord, ...] = ()
    """From top to bottom."""


def truth_of(scene: Scene) -> Truth:
    """The truth about a painted scene."""
    sizes = scene.image.size

    def bins(points: Polygon) -> Bins:
        return tuple(to_bin(value, sizes[i % 2]) for i, value in enumerate(points))

    objects = [
        Target(o.shape, o.colour, bins(o.box), _from_the_top(bins(_sparse(o.polygons[0]))))
        for o in scene.objects
    ]
    words = [PrintedWord(w.text, bins((*w.quad[:2], *w.quad[4:6]))) for w in scene.words]
    return Truth(tuple(objects), tuple(sorted(words, key=lambda word: word.bins[1])))


def mirrored(truth: Truth) -> Truth:
    """The truth after a left-right flip. It has no words, since they can't be read any more."""

    def flip(values: Bins) -> Bins:
        return tuple(v if i % 2 else LOCATION_BINS - 1 - v for i, v in enumerate(values))

    objects = []
    for target in truth.objects:
        x2, y1, x1, y2 = flip(target.bins)
        # a flip turns clockwise into counterclockwise
        pairs = list(zip(*[iter(flip(target.polygon))] * 2, strict=True))[::-1]
        polygon = _from_the_top(tuple(value for pair in pairs for value in pair))
        objects.append(Target(target.shape, target.colour, (x1, y1, x2, y2), polygon))
    return Truth(tuple(objects))


def _sparse(polygon: Polygon) -> Polygon:
    """Every second, third, … point of a polygon that has more than an answer takes."""
    step = -(-len(polygon) // (2 * POLYGON_POINTS))
    return tuple(v for i in range(0, len(polygon), 2 * step) for v in polygon[i : i + 2])


def _from_the_top(polygon: Bins) -> Bins:
    """The same polygon, beginning with its highest point (the left one of two)."""
    points = range(0, len(polygon), 2)
    first = min(points, key=lambda i: (polygon[i + 1], polygon[i]), default=0)
    return polygon[first:] + polygon[:first]

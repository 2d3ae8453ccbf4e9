"""Which questions are asked about an image: the parts that recipes and plans are made of.

Each class here is a `florence_annotate.types.Recipe`: `first` gives the questions that are asked
once the image is encoded, `then` those that follow from the answers so far.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from florence_annotate.geometry import boxes
from florence_annotate.geometry.locations import to_locations
from florence_annotate.labels.boxes import RegionsOf
from florence_annotate.questions.texts import TextOf
from florence_annotate.tasks import Gives, of
from florence_annotate.types import Box, Picture, Question, Recipe, Record


@dataclass(frozen=True, slots=True)
class AskAll:
    """The same questions about every image."""

    questions: tuple[Question, ...]

    def first(self, picture: Picture) -> Sequence[Question]:
        return self.questions

    def then(self, record: Record) -> Sequence[Question]:
        return ()


@dataclass(frozen=True, slots=True)
class AskWithText:
    """One question, with the text that was given for the image; none where it has no text."""

    task: str
    text_of: TextOf

    def first(self, picture: Picture) -> Sequence[Question]:
        text = self.text_of(picture.ref)
        return (Question(self.task, text),) if text else ()

    def then(self, record: Record) -> Sequence[Question]:
        return ()


@dataclass(frozen=True, slots=True)
class AskAboutRegions:
    """One question about each region that was given for the image."""

    task: str
    regions_of: RegionsOf

    def first(self, picture: Picture) -> Sequence[Question]:
        size = picture.width, picture.height
        return [
            about_region(self.task, region.pixels(*size), *size, region.label)
            for region in self.regions_of(picture.ref)
        ]

    def then(self, record: Record) -> Sequence[Question]:
        return ()


@dataclass(frozen=True, slots=True)
class AskAlso:
    """Another recipe's questions, and further ones, asked together with its first."""

    recipe: Recipe
    questions: tuple[Question, ...]

    def first(self, picture: Picture) -> Sequence[Question]:
        return (*self.recipe.first(picture), *self.questions)

    def then(self, record: Record) -> Sequence[Question]:
        return self.recipe.then(record)


@dataclass(frozen=True, slots=True)
class AskTiles:
    """Another recipe's questions, asked of the whole image and of each of its tiles.

    A question whose answer is a text is asked of the whole image alone. A question about a region
    is asked of a tile that holds the region, or of the whole image if none does.
    """

    recipe: Recipe

    def first(self, picture: Picture) -> Sequence[Question]:
        return [
            each
            for question in self.recipe.first(picture)
            for each in _of_views(question, picture.tiles, picture.width, picture.height)
        ]

    def then(self, record: Record) -> Sequence[Question]:
        views = dict.fromkeys(answer.question.view for answer in record.answers)
        tiles = [view for view in views if view is not None]
        return [
            each
            for question in self.recipe.then(record)
            for each in _of_views(question, tiles, record.width, record.height)
        ]


def about_region(
    task: str, box: Box, width: int, height: int, label: str | None = None
) -> Question:
    """A question about a box, in pixels, of an image of `width` by `height` pixels.

    `label` is what is known to be in the box.
    """
    return Question(task, to_locations(box, width, height), box, label)


def _of_views(
    question: Question, tiles: Sequence[Box], width: int, height: int
) -> Sequence[Question]:
    task = of(question)
    region = question.region
    if region is not None:
        holding = [tile for tile in tiles if boxes.holds(tile, region)]
        if not holding:
            return [question]
        # the tile whose centre is nearest, so that most is seen around the region
        tile = min(holding, key=lambda tile: boxes.distance(tile, region))
        text = to_locations(boxes.within(region, tile), *boxes.size(tile))
        return [replace(question, text=text, view=tile)]
    if task.gives is Gives.TEXT:
        return [question]
    return [question, *(replace(question, view=tile) for tile in tiles)]

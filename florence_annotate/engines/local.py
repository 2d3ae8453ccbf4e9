"""One annotator on one device of this machine, fed by the DataLoader."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from florence_annotate.annotator import Annotator
from florence_annotate.loading import LoadingOptions, load_batches
from florence_annotate.types import Failure, ImageRef, Picture, Record


@dataclass(frozen=True, slots=True)
class LocalEngine:
    annotator: Annotator
    options: LoadingOptions

    def run(self, refs: Iterable[ImageRef]) -> Iterator[list[Record | Failure]]:
        """A batch of outcomes at a time; each ref comes back exactly once."""
        for loaded in load_batches(refs, self.options):
            outcomes: list[Record | Failure] = [x for x in loaded if isinstance(x, Failure)]
            outcomes += self.annotator.annotate([x for x in loaded if isinstance(x, Picture)])
            yield outcomes

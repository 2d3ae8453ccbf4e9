"""One annotator on one device of this machine, fed by the DataLoader."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from florence_annotate.annotator import Annotator
from florence_annotate.loading import LoadingOptions, load_batches
from florence_annotate.types import Failure, ImageRef, Record


@dataclass(frozen=True, slots=True)
class LocalEngine:
    annotator: Annotator
    options: LoadingOptions

    def run(self, refs: Iterable[ImageRef]) -> Iterator[list[Record | Failure]]:
        """Some outcomes at a time, as they get ready; each ref comes back exactly once."""
        yield from self.annotator.annotate(load_batches(refs, self.options))

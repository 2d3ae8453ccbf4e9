"""One annotator on one device of this machine, fed by the DataLoader."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from florence_annotate.engines.annotator import Annotator
from florence_annotate.images.loading import LoadingOptions, load_batches
from florence_annotate.types import Failure, ImageRef, Loaded, Record


@dataclass(slots=True)
class LocalEngine:
    """An engine (`florence_annotate.types.Engine`) on one device of this machine."""

    annotator: Annotator
    options: LoadingOptions
    seconds_waiting: float = 0.0

    def run(self, refs: Iterable[ImageRef]) -> Iterator[list[Record | Failure]]:
        """Annotate images; yields a record or a failure for each, some at a time."""
        yield from self.annotator.annotate(self._load(refs))

    def _load(self, refs: Iterable[ImageRef]) -> Iterator[list[Loaded]]:
        began = time.monotonic()
        for loaded in load_batches(refs, self.options):
            self.seconds_waiting += time.monotonic() - began
            yield loaded
            began = time.monotonic()

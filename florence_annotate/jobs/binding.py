"""The first run of a job binds it to how and what it asks; each later one is held to that."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from florence_annotate.answers import scores
from florence_annotate.config.job_spec import JobSpec
from florence_annotate.dataset import splits
from florence_annotate.jobs import fingerprint, sharding
from florence_annotate.jobs.fingerprint import Begun
from florence_annotate.jobs.setup import Setup
from florence_annotate.journal import Journal


@dataclass(frozen=True, slots=True)
class Binding:
    """How and what a run asks."""

    setup: Setup
    spec: JobSpec
    begun: Begun | None
    """What its job is bound to already."""

    def begin(self, journal: Journal, split_rule: Mapping[str, Any]) -> None:
        """Bind a job that had no run yet; see `splits.BEGUN_WITH` for the rule."""
        journal.set_value("asked", self._asked())
        journal.set_value("decoding", self._decoding())
        journal.set_value("score", scores.DEFINITION)
        sharding.bind(journal, self.spec)
        journal.set_value(splits.BEGUN_WITH, split_rule)
        journal.set_value("fingerprint", self.setup.fingerprint().dump())

    def go_on(
        self, journal: Journal, bound: Mapping[str, Any], note: Callable[[str], None]
    ) -> None:
        """Hold a run to what `fingerprint.describe` gives of its job, and tell what differs without
        binding.

        Raises FingerprintError.
        """
        self.refuse_other(bound, journal.path.parent)
        for line in self.setup.departures():
            note(line)
        if self.begun is not None and self.begun.fingerprint.decoding is None:
            if self.setup.decoded_otherwise:
                journal.set_value(fingerprint.DECODED_OTHERWISE, journal.runs.last())
            journal.set_value("decoding", self._decoding())
        if count := fingerprint.count_decoded_otherwise(journal):
            asked = "1 image was" if count == 1 else f"{count} images were"
            note(
                f"{asked} asked by an earlier version, which read this checkpoint's own settings "
                "of generation otherwise (its token ids, forced tokens, or when a search stops): "
                "the answers may differ; --restart asks all images again"
            )

    def refuse_other(self, bound: Mapping[str, Any], out: Path) -> None:
        """Raise FingerprintError where a job is bound otherwise."""
        now = self.setup.fingerprint().described(self._asked())
        fingerprint.refuse_other(bound, now, out)

    def _asked(self) -> dict[str, Any]:
        """See `florence_annotate.journal.older.asked`."""
        return {
            "questions": [[q.task, q.text] for q in self.setup.plan.questions],
            "tiles": self.spec.tiling and [self.spec.tiles, self.spec.tiling.overlap],
            "inputs": fingerprint.digest(self.spec.regions or self.spec.texts),
        }

    def _decoding(self) -> dict[str, Any]:
        return asdict(self.setup.checkpoint.generation.decoding)

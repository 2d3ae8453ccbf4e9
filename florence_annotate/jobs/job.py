"""One run of a job, from its settings to its dataset.

Everything that can be wrong with a request is found before the checkpoint's weights are read and
before anything is written.
"""

from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from florence_annotate.config import job_spec, policy_file
from florence_annotate.config.gate_settings import GateSettings
from florence_annotate.config.job_spec import JobSpec
from florence_annotate.dataset import settled, splits
from florence_annotate.dataset.splits import SplitRule
from florence_annotate.errors import CheckpointError, SourceError, UsageError
from florence_annotate.formats import export, registry, upheavals
from florence_annotate.formats.outcome import Outcome
from florence_annotate.jobs import (
    fingerprint,
    leaving,
    outlook,
    output,
    restarting,
    runner,
    setup,
    sharding,
)
from florence_annotate.jobs.binding import Binding
from florence_annotate.jobs.fingerprint import Begun
from florence_annotate.jobs.naming import sources_of
from florence_annotate.jobs.outlook import Outlook, has_content
from florence_annotate.jobs.runner import Reporter, RunReport
from florence_annotate.jobs.setup import Setup
from florence_annotate.jobs.writing import Writing, Written
from florence_annotate.journal import Journal, exists, lock
from florence_annotate.labels.by_name import ByName
from florence_annotate.labels.splits import SplitLists
from florence_annotate.questions import texts
from florence_annotate.questions.request import Request
from florence_annotate.reports import gates
from florence_annotate.reports import summary as summaries
from florence_annotate.types import ImageRef

if TYPE_CHECKING:
    from florence_annotate.engines.start import Started


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished(Written):
    """How a run of a job ended."""

    interrupted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches(Writing):
    """What a run is asked beside the settings of the job."""

    restart: bool = False
    """Forget the job in the output folder, and begin again."""


class Job:
    """One run of a job: checked when it is made, to be looked at, then to be `run`."""

    def __init__(self, spec: JobSpec, out: Path, switches: Switches = Switches()) -> None:
        """What is in the output folder is forgotten, with `restart`, when it runs.

        Raises SourceError, UsageError, CheckpointError, DeviceError and JobError.
        """
        self.out = out
        self.sources = sources_of(spec, out, restart=switches.restart)
        output.refuse_unusable(out, self.sources)
        self._all = self.sources
        """Also the images of other shards."""
        if spec.shard is not None:
            whole = spec.model_copy(update={"shard": None})
            self._all = sources_of(whole, out, restart=switches.restart)
        self._switches = switches
        self._begun: Begun | None = None
        self._left_aside: list[str] = []
        """Settings of a preset that the job's policy has otherwise."""
        if exists(out) and not switches.restart:
            with Journal.open_existing(out) as journal:
                self._begun = Begun.of(journal)
                if self._begun is not None:
                    sharding.refuse_other(journal, spec)
                settings = settled.read(journal, out) if self._begun else {}
        self.spec = spec
        if self._begun is not None:
            self.spec = settled.apply(setup.take_over(spec, self._begun), settings)
            self._left_aside = [
                name
                for name in sorted(spec.given - spec.by_flag)
                if name in settings and getattr(self.spec, name) != getattr(spec, name)
            ]
        gates.refuse_unknown(self.spec)
        sharding.refuse_gates(self.spec)
        has_image = next(iter(self.sources), None) is not None
        if not has_image and next(iter(self._all), None) is None:  # a shard may have none
            self._refuse_no_image()
        request = self.spec.request()
        # what contradicts itself is found before a checkpoint is fetched
        questions = setup.check(self.spec, request)
        self.spec = registry.with_added(self.spec, switches.add_formats, questions)
        self.formats = registry.settle(self.spec, questions)
        if exists(out):
            with Journal.open_existing(out) as journal:
                sharding.refuse_dataset(journal, spec)
                rule = SplitRule.begun_with(self._splits(journal), self.spec)
                upheavals.refuse_upheaval(
                    *(journal, out, self.spec, rule, self.formats),
                    renumber=switches.renumber or switches.restart,
                    overwrite=switches.overwrite,
                )
        self._unused = self._fit(request)
        if self.spec.split_file:  # what fits no image is told with the export
            SplitLists(self.spec.split_file).fit(lambda: self._all)
        bound = self._begun.fingerprint if self._begun else None
        try:
            self.setup = Setup.of(self.spec, request, bound)
        except CheckpointError as error:
            last = self._begun.last if self._begun else None
            if last is None or (self.spec.model, self.spec.adapter) != (last.model, last.adapter):
                raise
            raise CheckpointError(
                f"{error}. The job in {out} was begun with it: give the command run with --model "
                "(or --adapter) and where it is by now"
            ) from error
        self._binding = Binding(self.setup, self.spec, self._begun)

    def _refuse_no_image(self) -> None:
        """Raise SourceError, which says what is wrong with a folder that held images."""
        if self._begun:
            with Journal.open_existing(self.out) as journal:
                journal.selection.note(())
                found = leaving.Leaving.of(journal.selection.leaving(), self.sources)
                found.refuse_failed(self.out, are_others_left=False)
        raise SourceError(
            f"no image found in {', '.join(map(repr, self.spec.sources))}: check the folder, and "
            "--include and --exclude if you gave them"
            + "".join(f"; skipped {s.name}: {s.reason}" for s in self.sources.skipped[:3])
        )

    def _fit(self, request: Request) -> tuple[str, ...]:
        """The names of --texts or --regions that no image has.

        Raises UsageError where they fit none at all.
        """
        if request.texts is texts.sidecar_text and not any(map(texts.sidecar_text, self._all)):
            raise UsageError(
                f"--texts {texts.SIDECAR}: no image has a .txt with its name beside it"
            )
        unused: tuple[str, ...] = ()
        for given in (request.texts, request.regions):
            if isinstance(given, ByName):
                unused = given.fit(self._all)
        are_all = not (self.spec.include or self.spec.exclude)
        return unused if are_all else ()

    def run(self, *, reporter: Reporter, retry_failed: bool = False) -> Finished:
        """Annotate what is pending, then export; a shard is not exported.

        Raises FingerprintError, LockedError, EngineError, ExportError and OutputError; failures of
        single images are counted, not raised.
        """
        if self._unused:
            some = ", ".join(map(repr, self._unused[:3]))
            more = " …" if len(self._unused) > 3 else ""
            reporter.note(
                f"{len(self._unused)} names of --texts or --regions fit no image: {some}{more}"
            )
        for line in self.sources.nested():
            reporter.note(line)
        switches = self._switches
        with lock.held(self.out), closing(self.setup):
            left = self._left_by_restart()
            # whatever is wrong with the checkpoint is found before anything is written
            started = None if self._begun else self._start(reporter)
            with Journal.create(self.out) as journal:
                if switches.restart:
                    if left:
                        reporter.note(leaving.told(left))
                    restarting.forget(journal, self.out, overwrite=switches.overwrite)
                left |= leaving.select(
                    *(journal, self.sources, self.spec.limit, reporter.note),
                    allow_missing=switches.allow_missing,
                )
                for pattern in self.sources.unmatched:
                    reporter.note(
                        f"{pattern!r} of --include or --exclude matches no image's path or name; "
                        "what lies in a folder is named as in 'day/*'"
                    )
                bound = fingerprint.describe(journal)
                if bound is None:
                    # all that the sources name, since those after --limit are selected too
                    is_whole = self.spec.shard is None
                    refs = journal.selection.refs() if is_whole else self._all
                    self._binding.begin(journal, self._split_rule(refs))
                else:
                    self._binding.go_on(journal, bound, reporter.note)
                self._take_over_touched(journal)
                total = journal.selection.count_pending(retry_failed=retry_failed)
                changes = settled.changes(journal, self.spec)
                if total or changes:
                    journal.check_exports()  # the dataset will be built anew, and go by them
                self._settle_policy(journal, changes, reporter)
                run_id, report = journal.runs.begin(job_spec.dump(self.spec)), RunReport()
                if total:
                    counts = journal.counts()
                    if counts.annotated or counts.failed:
                        done = f"{counts.annotated} annotated, {counts.failed} failed"
                        reporter.note(f"going on: {done}, {total} to do")
                    started = started or self._start(reporter)
                    pending = journal.selection.pending(retry_failed=retry_failed)
                    journal.runs.note_asking(run_id)
                    with reporter.progress(total, started.memory_in_use) as progress:
                        report = runner.run(started.engine, pending, journal, run_id, progress)
                self.setup.close()  # others may need the devices while the dataset is written
                is_to_be_written = not report.interrupted and self.spec.shard is None
                told = self._report(report, left, has_asked=started is not None)
                journal.runs.end(run_id, told, is_to_be_written=is_to_be_written)
                exported = self._export(journal, reporter) if is_to_be_written else None
                if not report.interrupted:
                    journal.selection.forget_left()
                bound, counts, judged = fingerprint.describe(journal), journal.counts(), []
                if exported is not None:
                    judged = gates.judge(self.spec, GateSettings.model_fields, counts, exported)
                summary = summaries.summarise(
                    journal, self.out, self.spec, bound, exported, counts, judged
                )
                journal.runs.note_written()
        return Finished(
            summary=summary,
            unwritten=exported is not None and bool(exported.unwritten),
            interrupted=report.interrupted,
        )

    def _export(self, journal: Journal, reporter: Reporter) -> Outcome:
        reporter.note("writing the dataset …")
        # it may have been edited while the images were annotated
        self.spec = settled.apply(self.spec, settled.read(journal, self.out))
        switches = self._switches
        return export.export(
            *(journal, self.out, self.spec),
            overwrite=switches.overwrite,
            renumber=switches.renumber,
            judge_lost=partial(leaving.judge_lost, journal, allow_missing=switches.allow_missing),
            settle=partial(settled.write, journal, self.out, self.spec),
        )

    def _start(self, reporter: Reporter) -> "Started":
        return self.setup.start(self.sources.landmarks, reporter.note)

    def foresee(self, *, retry_failed: bool) -> Outlook:
        """What a run would do. Raises FingerprintError and SourceError where it is refused."""
        if self._begun is None:
            return outlook.of_new(self.sources, self.spec.limit, self._left_by_restart())
        self._binding.refuse_other(self._begun.described(), self.out)
        with Journal.open_existing(self.out) as journal:
            journal.selection.note(self.sources, self.spec.limit)
            left = leaving.judge(journal, self.sources, allow_missing=self._switches.allow_missing)
            return outlook.of_begun(journal, left, retry_failed=retry_failed)

    def _left_by_restart(self) -> dict[str, Any]:
        if not self._switches.restart:
            return {}
        allowed = self._switches.allow_missing
        return restarting.judge(self.spec, self.out, allow_missing=allowed)

    def _splits(self, journal: Journal) -> Any:
        """By what the job splits its images; see `splits.BEGUN_WITH`."""
        if self._begun is not None:
            return journal.value(splits.BEGUN_WITH)
        return self._split_rule(self._all)

    def _split_rule(self, refs: Iterable[ImageRef]) -> dict[str, Any]:
        return splits.begin((ref.key for ref in refs), self.sources.prefixes)

    def _settle_policy(self, journal: Journal, changes: Iterable[str], reporter: Reporter) -> None:
        """Write what flags say into the job's policy, and say what has changed."""
        if self._left_aside:
            names = ", ".join(self._left_aside)
            reporter.note(f"the preset's {names} left aside: {policy_file.NAME} says otherwise")
        for line in (*changes, *upheavals.notes(journal, self.spec, self.formats)):
            reporter.note(line)
        if self.spec.shard is None:
            settled.write(journal, self.out, self.spec)

    def _take_over_touched(self, journal: Journal) -> None:
        """An image with a new time but the same bytes is not asked again."""
        changed = journal.selection.changed()
        journal.selection.note_same_content(ref for ref, sha in changed if has_content(ref, sha))

    def _report(
        self, report: RunReport, left: dict[str, Any], *, has_asked: bool
    ) -> dict[str, Any]:
        return {
            "annotated": report.annotated,
            "failed": report.failed,
            "interrupted": report.interrupted,
            "seconds": round(report.seconds, 3),
            "images_per_second": round(report.images_per_second, 3),
            "seconds_waiting_for_pictures": round(report.seconds_waiting, 3),
            # to know it takes the import of PyTorch, which is half of what an idle run takes
            "device": self.setup.place.name if has_asked else None,
            "routes": dict(self.setup.plan.routes),
            "skipped": [asdict(skipped) for skipped in self.sources.skipped],
            "left_dataset": left,
        }

"""A job from its specification to its dataset: where the parts are put together for the command.

Everything that can be wrong with a request is found before the checkpoint's weights are read and
before anything is written.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from florence_annotate import tasks
from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.checkpoints.checkpoint import Checkpoint
from florence_annotate.config import job_spec
from florence_annotate.config.job_spec import JobSpec
from florence_annotate.errors import SourceError, UsageError
from florence_annotate.formats import export, registry
from florence_annotate.images import codec
from florence_annotate.images.sources import Sources
from florence_annotate.jobs import fingerprint, runner
from florence_annotate.jobs.fingerprint import Fingerprint
from florence_annotate.jobs.runner import Reporter
from florence_annotate.journal import FILE_NAME, Journal, lock
from florence_annotate.labels.by_name import ByName
from florence_annotate.questions import coverage, planning, texts
from florence_annotate.questions.plan import Plan
from florence_annotate.questions.recipes import RecipeName
from florence_annotate.reports import summary as summary_report
from florence_annotate.types import Generation, ImageRef

if TYPE_CHECKING:
    from florence_annotate.engines.start import Started


@dataclass(frozen=True, slots=True)
class Finished:
    """How a run of a job ended."""

    summary: dict[str, Any]
    interrupted: bool
    within_failures: bool


class Job:
    """One run of a job: checked when it is made, to be looked at, then to be `run`."""

    def __init__(self, spec: JobSpec, out: Path) -> None:
        """Raises SourceError, UsageError, CheckpointError and DeviceError."""
        self.spec = spec
        self.out = out
        self.sources = Sources(spec.sources, codec.SUFFIXES, spec.include, spec.exclude, out)
        self._refuse_overlap()
        if next(self.refs(), None) is None:
            raise SourceError(
                f"no picture found in {', '.join(map(repr, spec.sources))}: check the folder, and "
                "--include and --exclude if you gave them"
                + "".join(f"; skipped {s.name}: {s.reason}" for s in self.sources.skipped[:3])
            )
        request = spec.request()
        # what contradicts itself is found before a checkpoint is fetched
        questions = planning.plan(request, ()).questions
        self.formats = registry.settle(spec.formats, questions, spec.images)
        if spec.presence:
            coverage.refuse_unverified(questions)
        if spec.constrain == "labels" and spec.recipe is RecipeName.VERIFY:
            raise UsageError(
                "--constrain labels lets <OD> say nothing but the classes, and --recipe verify "
                "has it confirm them: leave one of them out"
            )
        self._unused: tuple[str, ...] = ()
        for given in (request.texts, request.regions):
            if isinstance(given, ByName):
                self._unused = given.fit(self.refs())
        if request.texts is texts.sidecar_text and not any(map(texts.sidecar_text, self.refs())):
            raise UsageError(
                f"--texts {texts.SIDECAR}: no picture has a .txt with its name beside it"
            )
        self.checkpoint: Checkpoint = checkpoints.find(
            spec.model, spec.revision, adapter=spec.adapter
        )
        self.plan: Plan = planning.plan(request, self.checkpoint.known_labels)
        self.generation = self._settle_generation()

    def refs(self) -> Iterator[ImageRef]:
        """The pictures of the sources, at most `limit`."""
        return islice(iter(self.sources), self.spec.limit)

    def _refuse_overlap(self) -> None:
        out = self.out.resolve()
        for folder in (folder.resolve() for folder in self.sources.folders):
            if out == folder or folder in out.parents:
                raise UsageError(
                    f"the output {self.out} lies in the source {folder}, where its pictures would "
                    "be annotated again: choose another output with -o"
                )
            if out in folder.parents:
                raise UsageError(
                    f"the source {folder} lies in the output {self.out}: choose another output "
                    "with -o"
                )
        for picture in self.sources.images:
            if out in picture.resolve().parents:
                raise UsageError(
                    f"the source picture {picture} lies in the output {self.out}: leave it out, or "
                    "choose another output with -o"
                )
        if self.out.exists() and not self.out.is_dir():
            raise UsageError(f"the output {self.out} is a file: choose another output with -o")
        if (
            self.out.is_dir()
            and not (self.out / FILE_NAME).exists()
            and any(path.name != lock.FILE_NAME for path in self.out.iterdir())
        ):
            raise UsageError(
                f"{self.out} holds other files and no job: choose a new or an empty folder with -o"
            )

    def _settle_generation(self) -> Generation:
        spec, longest = self.spec, self.checkpoint.max_new_tokens
        if spec.max_new_tokens and spec.max_new_tokens > longest:
            raise UsageError(
                f"--max-new-tokens {spec.max_new_tokens}: the decoder of {self.checkpoint.name} "
                f"has positions for {longest}"
            )
        own = self.checkpoint
        return Generation(
            spec.max_new_tokens or min(512, longest),
            own.num_beams if spec.num_beams is None else spec.num_beams,
            own.no_repeat_ngram if spec.no_repeat_ngram is None else spec.no_repeat_ngram,
            spec.retry_truncated,
            spec.constrain,
            self._settle_labels() if spec.constrain == "labels" else (),
        )

    def _settle_labels(self) -> tuple[str, ...]:
        """What `<OD>` may say: names and synonyms of the classes that are found by it."""
        by_od = {name for name, token in self.plan.routes if token == tasks.OD}
        if not by_od:
            raise UsageError(
                "--constrain labels holds the labels of <OD> to the classes, and this job asks "
                "<OD> for no class: name classes and choose --strategy od, or --constrain form"
            )
        classes = self.spec.class_list()
        return tuple(
            label
            for spec in (classes.classes if classes else ())
            if spec.name in by_od
            for label in (spec.name, *spec.synonyms)
        )

    @cached_property
    def device(self) -> Any:
        from florence_annotate.model.device import resolve_device

        return resolve_device(self.spec.device)

    def _dtype_name(self, bound: Fingerprint | None) -> str:
        """`auto` is settled once: a job that goes on keeps what it began with."""
        from florence_annotate.model.device import resolve_dtype

        if self.spec.dtype == "auto" and bound:
            return str(bound["dtype"])
        resolved = resolve_dtype(
            self.spec.dtype, self.device, is_embedded=self.checkpoint.is_embedded
        )
        return str(resolved).removeprefix("torch.")

    def _fingerprint(self, dtype: str) -> Fingerprint:
        is_folder = self.checkpoint.name == str(self.checkpoint.folder)
        return {
            "model": "a folder" if is_folder else self.checkpoint.name,
            "revision": self.checkpoint.revision,
            "weights": self.checkpoint.weights_hash(),
            "adapter": self.checkpoint.adapter_hash(),
            "questions": [[q.task, q.text] for q in self.plan.questions],
            "tiles": self.spec.tiling and [self.spec.tiles, self.spec.tiling.overlap],
            "inputs": fingerprint.digest(self.spec.regions or self.spec.texts),
            "image_size": self.checkpoint.image_size,
            "dtype": dtype,
            **asdict(self.generation),
            "labels": list(self.generation.labels),  # as JSON gives it back
        }

    def run(
        self,
        *,
        reporter: Reporter,
        restart: bool = False,
        retry_failed: bool = False,
        overwrite: bool = False,
    ) -> Finished:
        """Annotate what is pending, then export.

        Raises FingerprintError, LockedError, ExportError and OutputError; failures of single
        pictures are counted, not raised.
        """
        loaded, note = None, reporter.note
        are_all = not (self.spec.limit or self.spec.include or self.spec.exclude)
        if self._unused and are_all:
            some = ", ".join(map(repr, self._unused[:3]))
            more = " …" if len(self._unused) > 3 else ""
            note(f"{len(self._unused)} names of --texts or --regions fit no picture: {some}{more}")
        if restart or not (self.out / FILE_NAME).exists():
            # whatever is wrong with the checkpoint is found before anything is written
            loaded = self._load(self._dtype_name(None), note)
        with lock.held(self.out), Journal.create(self.out) as journal:
            if restart:
                journal.restart()
            dtype = self._bind(journal)
            journal.select(self.refs())
            self._take_over_touched(journal)
            run_id = journal.begin_run(job_spec.dump(self.spec))
            total = journal.count_pending(retry_failed=retry_failed)
            report = runner.RunReport()
            if total:
                counts = journal.counts()
                if counts.annotated or counts.failed:
                    done = f"{counts.annotated} annotated, {counts.failed} failed"
                    note(f"going on: {done}, {total} to do")
                started = loaded or self._load(dtype, note)
                pending = journal.pending(retry_failed=retry_failed)
                with reporter.progress(total, started.memory_in_use) as progress:
                    report = runner.run(started.engine, pending, journal, run_id, progress)
            journal.end_run(run_id, self._report(report))
            exported = None
            if not report.interrupted:
                note("writing the dataset …")
                exported = export.export(journal, self.out, self.spec, overwrite=overwrite)
            summary = summary_report.summarise(journal, self.out, self.spec, exported)
            summary_report.write_summary(self.out, summary)
            counts = journal.counts()
        allowed = self.spec.max_failures.allows(counts.failed, counts.images)
        return Finished(summary, report.interrupted, allowed)

    def count_pending(self, *, restart: bool, retry_failed: bool) -> int:
        """How many pictures a run would read. Raises FingerprintError where it would be refused."""
        if restart or not (self.out / FILE_NAME).exists():
            return sum(1 for _ in self.refs())
        with Journal.open_existing(self.out) as journal:
            bound = journal.value("fingerprint")
            if bound is not None:
                asked = self._fingerprint(self._dtype_name(bound))
                fingerprint.refuse_other(bound, asked, self.out)
            return sum(journal.is_pending(r, retry_failed=retry_failed) for r in self.refs())

    def _bind(self, journal: Journal) -> str:
        """Bind the job by its fingerprint, or hold this run to it; returns the dtype's name."""
        bound = journal.value("fingerprint")
        dtype = self._dtype_name(bound)
        asked = self._fingerprint(dtype)
        if bound is None:
            journal.set_value("fingerprint", asked)
        else:
            fingerprint.refuse_other(bound, asked, self.out)
        return dtype

    def _take_over_touched(self, journal: Journal) -> None:
        """A picture with a new time but the same bytes is not asked again."""
        for ref, sha in list(journal.changed_stamps()):
            try:
                is_same = codec.digest(codec.read_bytes(ref.path)) == sha
            except codec.UnreadableImageError:
                continue  # the loader will say it again, and the journal will hold it
            if is_same:
                journal.same_content(ref)

    def _load(self, dtype: str, note: Callable[[str], None]) -> "Started":
        from florence_annotate.engines.start import start

        return start(
            self.spec, self.checkpoint, self.plan, self.generation, self.device, dtype, note
        )

    def _report(self, report: runner.RunReport) -> dict[str, Any]:
        return {
            "annotated": report.annotated,
            "failed": report.failed,
            "interrupted": report.interrupted,
            "seconds": round(report.seconds, 3),
            "images_per_second": round(report.images_per_second, 3),
            "seconds_waiting_for_pictures": round(report.seconds_waiting, 3),
            "device": str(self.device),
            "routes": dict(self.plan.routes),
            "skipped": [asdict(skipped) for skipped in self.sources.skipped],
        }

"""One way from a request to a model that is ready to answer.

request → plan → checkpoint → generation → place, number format, attention → network → canary →
batch size. What is wrong with a request is found before a checkpoint is fetched, and what is wrong
with a checkpoint before its weights are read.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from florence_annotate import tasks
from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.checkpoints.checkpoint import Checkpoint
from florence_annotate.config.job_spec import JobSpec, flag_of
from florence_annotate.config.model_settings import LONGEST_ANSWER, OWN
from florence_annotate.engines import places
from florence_annotate.errors import UsageError, nearest
from florence_annotate.jobs.fingerprint import BOUND, BY_KIND, Begun, Fingerprint, Setting
from florence_annotate.policy.settings import policy_of
from florence_annotate.questions import planning
from florence_annotate.questions.plan import Plan
from florence_annotate.questions.recipes import RecipeName
from florence_annotate.questions.request import Request
from florence_annotate.tasks import Kind
from florence_annotate.types import Generation, Question

if TYPE_CHECKING:
    from florence_annotate.engines.places import Place
    from florence_annotate.engines.start import Assignment, Ready, Started


def check(spec: JobSpec, request: Request) -> tuple[Question, ...]:
    """The questions that a request comes to with any checkpoint.

    Raises UsageError for what contradicts itself, and EngineError for an engine that is not there.
    """
    places.check(spec)
    questions = planning.plan(request, ()).questions
    policy_of(spec.policy(), questions, lambda label: None)
    if spec.constrain == "labels" and spec.recipe is RecipeName.VERIFY:
        raise UsageError(
            "--constrain labels lets <OD> say nothing but the classes, and --recipe verify "
            "has it verify them: leave one of them out"
        )
    return questions


@dataclass(frozen=True)
class Setup:
    """All that a model needs to answer a request; nothing heavy has been read yet."""

    spec: JobSpec
    checkpoint: Checkpoint
    plan: Plan
    bound: Fingerprint | None
    """Of the job that goes on."""

    @classmethod
    def of(cls, spec: JobSpec, request: Request, bound: Fingerprint | None = None) -> "Setup":
        """Raises UsageError for what contradicts itself, and CheckpointError."""
        check(spec, request)
        checkpoint = checkpoints.find(spec.model, spec.revision, adapter=spec.adapter)
        if bound and bound.decoding:
            own = checkpoint.generation.going_on_with(bound.decoding)
            checkpoint = replace(checkpoint, generation=own)
        setup = cls(spec, checkpoint, planning.plan(request, checkpoint.known_labels), bound)
        _ = setup.generation  # refuses what the checkpoint can't do
        return setup

    @cached_property
    def place(self) -> "Place":
        """Where the model runs. Raises DeviceError for a device that this machine lacks."""
        return places.find(self.spec)

    def close(self) -> None:
        """Let go of the place, where one was needed."""
        if "place" in vars(self):
            self.place.close()

    @cached_property
    def dtype(self) -> str:
        """`auto` is settled once: a job that goes on keeps what it began with."""
        if self.spec.dtype != "auto":
            return self.spec.dtype
        if self.bound is not None:
            return str(self.bound.settings["dtype"].resolved)
        return self.place.resolve_dtype(is_embedded=self.checkpoint.is_embedded)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """What `<OD>` may say: names and synonyms of the classes that are found by it.

        Raises UsageError where it is held to them and finds none.
        """
        if "labels" not in self.resolve("constrain").values():
            return ()
        by_od = {name for name, token in self.plan.routes if token == tasks.OD}
        if not by_od:
            raise UsageError(
                "--constrain labels holds the labels of <OD> to the classes, and this job asks "
                "<OD> for no class: name classes and choose --strategy od, or --constrain form"
            )
        return tuple(
            label
            for each in self.spec.classes or ()
            if each.name in by_od
            for label in (each.name, *each.synonyms)
        )

    @cached_property
    def generation(self) -> Generation:
        """How answers are written. Raises UsageError for more tokens than there are positions."""
        by_kind = {
            kind: Generation(
                **{name: self.resolve(name)[kind] for name in BY_KIND},
                retry_truncated=self.spec.retry_truncated,
                labels=self.labels,
                # a job keeps the score that it was begun with, and answers without are scored so
                keep_spreads=self.bound is None or self.bound.score is not None,
            )
            for kind in Kind
        }
        return Generation.of_kinds(by_kind[Kind.LOCATIONS], by_kind[Kind.TEXT])

    def resolve(self, name: str) -> dict[Kind, Any]:
        """What a setting of generation comes to for each kind of task."""
        if self.bound is not None and name not in self.spec.given:
            resolved = self.bound.settings[name].resolved
            return {kind: resolved[kind] for kind in Kind}
        return self._resolve_anew(name)

    def _resolve_anew(self, name: str) -> dict[Kind, Any]:
        """What a setting of generation comes to in a new job, for each kind of task."""
        if name == "no_repeat_ngram" and self._given(name) is None:
            # a ban of three forbids a label of three tokens its second box
            return {Kind.LOCATIONS: 0, Kind.TEXT: self.checkpoint.generation.no_repeat_ngram}
        return dict.fromkeys(Kind, self._resolve_for_all(name))

    def _resolve_for_all(self, name: str) -> Any:
        given, checkpoint = self._given(name), self.checkpoint
        if name == "max_new_tokens":
            if given and given > checkpoint.max_new_tokens:
                raise UsageError(
                    f"--max-new-tokens {given}: the decoder of {checkpoint.name} has positions for "
                    f"{checkpoint.max_new_tokens}"
                )
            return given or min(LONGEST_ANSWER, checkpoint.max_new_tokens)
        if name in ("num_beams", "no_repeat_ngram") and given in (None, OWN):
            return getattr(checkpoint.generation, name)
        return given

    def _given(self, name: str) -> Any:
        return getattr(self.spec if name in self.spec.given else JobSpec(), name)

    def fingerprint(self) -> Fingerprint:
        """What binds the job from now on, or did so already."""
        is_folder = self.checkpoint.name == str(self.checkpoint.folder)
        resolved = {
            # in a folder it is bound by its content alone, so that it can be moved
            "model": "a folder" if is_folder else self.checkpoint.name,
            "revision": self.checkpoint.revision,
            "dtype": self.dtype,
            "retry_truncated": self.spec.retry_truncated,
            "pixels": self.spec.pixels,
            **{name: self.resolve(name) for name in BY_KIND},
        }
        return Fingerprint(
            {
                name: Setting(
                    getattr(self.spec, name) if name in self.spec.given else None, resolved[name]
                )
                for name in BOUND
            },
            self.checkpoint.weights_hash(),
            self.checkpoint.adapter_hash(),
            self.checkpoint.image_size,
            self.labels,
        )

    @property
    def unsaid(self) -> dict[str, str]:
        """Classes that only `<OD>` is to find and that the checkpoint is not known to say; for each
        what may have been meant, as `nearest` says it."""
        classes, labels = self.spec.class_list(), self.checkpoint.known_labels
        if classes is None or not labels:
            return {}
        said = {classes.find(label) for label in labels}
        return {
            name: nearest(name, labels)
            for class_id, name in enumerate(classes.names)
            if class_id not in said and (name, tasks.OD) in self.plan.routes
        }

    def departures(self) -> list[str]:
        """A line for each setting that nobody gave and that a new job would have otherwise."""
        lines = []
        for name in BY_KIND if self.bound else ():
            before, now = self.resolve(name), self._resolve_anew(name)
            kinds = [kind for kind in self._kinds() if before[kind] != now[kind]]
            is_given = self.bound and self.bound.settings[name].given is not None
            if kinds and not is_given and name not in self.spec.given:
                lines.append(
                    f"going on with {flag_of(name)} {before[kinds[0]]}, as the job was begun; a "
                    f"new one would take {now[kinds[0]]}"
                )
        return lines

    @property
    def decoded_otherwise(self) -> bool:
        """Whether images of a job that did not record how it decodes may have other answers than
        this version would get."""
        beams = {self.resolve("num_beams")[kind] for kind in self._kinds()}
        was_recorded = self.bound is not None and self.bound.decoding is not None
        own = self.checkpoint.generation
        return not was_recorded and any(map(own.answered_otherwise_before, beams))

    def _kinds(self) -> list[Kind]:
        """The kinds of tasks that are asked."""
        return list(dict.fromkeys(tasks.of(question).kind for question in self.plan.questions))

    def start(self, landmarks: Sequence[Path], note: Callable[[str], None]) -> "Started":
        """The engine of a job whose sources have these landmarks. See `Place.start`."""
        return self.place.start(self._assignment(), landmarks, note)

    def make_ready(self, note: Callable[[str], None]) -> "Ready":
        """The model by itself, on a device of this machine. See `engines.start.make_ready`."""
        from florence_annotate.engines.start import make_ready
        from florence_annotate.model.device import resolve_device

        return make_ready(self._assignment(), resolve_device(self.spec.device), note)

    def _assignment(self) -> "Assignment":
        from florence_annotate.engines.start import Assignment

        return Assignment(self.spec, self.checkpoint, self.plan, self.generation, self.dtype)


def take_over(spec: JobSpec, begun: Begun) -> JobSpec:
    """The settings of a run that goes on: where nobody gave one, the journal's.

    One that is bound for each kind of task, and has not one value for all, stays as it is; see
    `Setup.resolve`.
    """
    last = begun.last or spec
    settings = begun.fingerprint.settings
    journals: dict[str, Any] = {
        "model": last.model,
        "adapter": last.adapter,
        "dtype": settings["dtype"].resolved,
        "retry_truncated": settings["retry_truncated"].resolved,
        "pixels": settings["pixels"].resolved,
        **{name: settings[name].plain for name in BY_KIND if settings[name].is_one_value},
    }
    if spec.model == last.model or "model" not in spec.given:
        journals["revision"] = settings["revision"].resolved
    values = {name: value for name, value in journals.items() if name not in spec.given}
    return spec.model_copy(update=values)

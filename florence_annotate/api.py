"""The Python API, as small as the command: `annotate` images, `open_dataset` of a job."""

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np
from PIL import Image
from tqdm import tqdm

from florence_annotate.answers import reading
from florence_annotate.config import job_spec, policy_file
from florence_annotate.dataset import settled
from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.dataset.dataset import Dataset, annotate_record
from florence_annotate.dataset.opening import last_spec, open_chosen, open_journal
from florence_annotate.engines.start import Ready
from florence_annotate.errors import UsageError
from florence_annotate.images import codec
from florence_annotate.images.loading import LoadingOptions, as_picture, load
from florence_annotate.jobs.setup import Setup
from florence_annotate.labels.given import Region
from florence_annotate.policy.settings import PolicySettings, policy_of
from florence_annotate.questions.plan import Plan
from florence_annotate.types import Box, Failure, ImageRef, Loaded, Record

Pictorial: TypeAlias = str | os.PathLike[str] | Image.Image | np.ndarray[Any, Any]
"""A path, a PIL image, or an RGB array of uint8, shape (height, width, 3)."""


def annotate(
    pictures: Iterable[Pictorial],
    classes: Sequence[str] | None = None,
    *,
    model: str = "base-ft",
    revision: str | None = None,
    adapter: str | None = None,
    task: str | Sequence[str] | None = None,
    prompt: str | None = None,
    gives: str | None = None,
    strategy: str = "auto",
    recipe: str | None = None,
    text: str | None = None,
    texts: Sequence[str | None] | None = None,
    regions: Sequence[Sequence[Box]] | None = None,
    tiles: str | None = None,
    overlap: float | None = None,
    device: str = "auto",
    dtype: str = "auto",
    batch_size: int | Literal["auto"] = "auto",
    threads: int | Literal["auto"] = "auto",
    num_beams: int | None = None,
    no_repeat_ngram: int | Literal["own"] | None = None,
    max_new_tokens: int | None = None,
    constrain: str = "off",
    canary: bool = False,
    min_score: float = 0.0,
    min_area: float = 0.0,
    max_area: float | None = None,
    nms: float | None = None,
    nms_across_classes: float | None = None,
    drop_containers: bool | None = None,
    synonyms: bool = True,
    progress: bool = False,
) -> Iterator[AnnotatedImage | Failure]:
    """Annotate images in batches, in their order, without writing anything.

    Yields an `AnnotatedImage` for each, with boxes in pixels of the upright image, or a `Failure`
    where it can't be read. The settings mean what the flags of `run` with their names do
    (docs/options.md). `texts` and `regions` (boxes in pixels) hold an entry for each image, in the
    same order. With `classes` None the class ids are those of the model's labels in the order in
    which they first appear. `threads` sets PyTorch's for the whole process; that they sleep while
    they wait for each other, as in the command, takes OMP_WAIT_POLICY=PASSIVE in the environment in
    which PyTorch is loaded. Raises UsageError, CheckpointError and DeviceError before the first
    image.
    """
    if isinstance(pictures, str | bytes | os.PathLike) or isinstance(classes, str):
        raise UsageError("annotate takes lists: annotate([image, …], classes=[name, …])")
    for name, given in (("texts", texts), ("regions", regions)):
        if isinstance(given, str | bytes | os.PathLike | Mapping):
            raise UsageError(f"annotate: {name} is a list, with an entry for each image")
        if given is not None and isinstance(pictures, Sequence) and len(given) != len(pictures):
            raise UsageError(f"annotate: {len(given)} {name} for {len(pictures)} images")
    given_regions = None if regions is None else _as_regions(regions)
    spec = job_spec.build(
        {
            "classes": None if classes is None else list(classes),
            "model": model,
            "revision": revision,
            "adapter": adapter,
            "canary": canary,
            "task": task,
            "prompt": prompt,
            "gives": gives,
            "strategy": strategy,
            "recipe": recipe,
            "text": text,
            "tiles": tiles,
            "overlap": overlap,
            "device": device,
            "dtype": dtype,
            "batch_size": batch_size,
            "threads": threads,
            "num_beams": num_beams,
            "no_repeat_ngram": no_repeat_ngram,
            "max_new_tokens": max_new_tokens,
            "constrain": constrain,
            "min_score": min_score,
            "min_area": min_area,
            "max_area": max_area,
            "nms": nms,
            "nms_across_classes": nms_across_classes,
            "drop_containers": drop_containers,
            "synonyms": synonyms,
        }
    )
    indices: dict[int, int] = {}
    request = replace(
        spec.request(),
        texts=None if texts is None else lambda ref: _at(texts, indices[id(ref)], None),
        regions=None
        if given_regions is None
        else lambda ref: _at(given_regions, indices[id(ref)], ()),
    )
    setup = Setup.of(spec, request)
    ready = setup.make_ready(note=lambda text: None)
    reader = _Reader(setup.plan, spec.policy())
    total = len(pictures) if isinstance(pictures, Sequence) else None
    bar = tqdm(total=total, disable=not progress)
    return _annotate(pictures, indices, ready, reader, bar)


def _as_regions(regions: Sequence[Sequence[Box]]) -> list[list[Region]]:
    try:
        return [[Region.of(box) for box in boxes] for boxes in regions]
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"annotate: regions are boxes, x1, y1, x2, y2 in pixels: {error}"
        ) from error


_Given = TypeVar("_Given")


def _at(given: Sequence[_Given], index: int, none: _Given) -> _Given:
    """What is given for an image; those beyond the last have nothing."""
    return given[index] if index < len(given) else none


class _Reader:
    """Outcomes → annotated images; without classes, a label becomes one when it first appears."""

    def __init__(self, plan: Plan, settings: PolicySettings) -> None:
        self._ids: dict[str, int] = {}
        self._classes = settings.classes
        self._policy = policy_of(settings, plan.questions, self._find_or_add)
        self._regions_given = reading.are_regions_given(plan.questions)

    def _find_or_add(self, label: str) -> int:
        return self._ids.setdefault(label, len(self._ids))

    def read(self, outcome: Any) -> AnnotatedImage | Failure:
        if isinstance(outcome, Failure):
            return outcome
        image = annotate_record(outcome, self._policy, (), regions_given=self._regions_given)
        names = tuple(self._ids) if self._classes is None else self._classes.names
        return replace(image, class_names=names)


def _annotate(
    pictures: Iterable[Pictorial],
    indices: dict[int, int],
    ready: Ready,
    reader: _Reader,
    bar: "tqdm[Any]",
) -> Iterator[AnnotatedImage | Failure]:
    """`indices` gets the index of each image by the identity of its ref."""
    order: deque[ImageRef] = deque()
    done: dict[int, Record | Failure] = {}  # by identity: an image may be given twice

    def load_batches() -> Iterator[list[Loaded]]:
        numbered = enumerate(pictures)
        while batch := list(islice(numbered, ready.loading.images_at_once)):
            loaded = [_load(pictorial, index, ready.loading) for index, pictorial in batch]
            order.extend(item.ref for item in loaded)
            for item, (index, _) in zip(loaded, batch, strict=True):
                indices[id(item.ref)] = index
            yield loaded

    with bar:
        for outcomes in ready.annotator.annotate(load_batches()):
            done |= {id(outcome.ref): outcome for outcome in outcomes}
            while order and id(order[0]) in done:
                yield reader.read(done.pop(id(order.popleft())))
                bar.update()


def _load(pictorial: Pictorial, index: int, options: LoadingOptions) -> Loaded:
    if isinstance(pictorial, str | os.PathLike):
        path = os.path.abspath(os.fsencode(pictorial))
        try:
            status = os.stat(path)
        except OSError as error:
            ref = ImageRef(os.fspath(pictorial), path, 0, 0)
            return Failure(ref, "read", "missing", error.strerror or str(error))
        ref = ImageRef(os.fspath(pictorial), path, status.st_size, status.st_mtime_ns)
        return load(ref, options)
    ref = ImageRef(f"picture {index}", b"", 0, 0)
    try:
        if isinstance(pictorial, Image.Image):
            image = codec.upright_rgb(pictorial)
        else:
            image = _from_array(pictorial)
    except codec.UnreadableImageError as error:
        return Failure(ref, error.stage, error.kind, str(error))
    return as_picture(ref, hashlib.sha256(image.tobytes()).hexdigest(), image, options)


def _from_array(array: Any) -> Image.Image:
    is_rgb = isinstance(array, np.ndarray) and array.dtype == np.uint8 and array.ndim == 3
    if not is_rgb or array.shape[2] != 3 or not array.size:
        what = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else repr(array)
        raise codec.UnreadableImageError(
            "decode",
            "not-an-image",
            f"expected an RGB array of uint8, shape (height, width, 3), not {what}",
        )
    return Image.fromarray(array)


def open_dataset(
    out: str | os.PathLike[str],
    *,
    policy: str | os.PathLike[str] | None = None,
    **settings: Any,
) -> Dataset:
    """The annotated images of a job's output folder, finished or not, as they were exported last.

    A `policy` is a file like `policy.yaml`, to go by instead; `settings` are those of `export`, and
    beat it: `min_score=0.4`. So it is with the images that the last export left out: with
    `include=[], exclude=[], labelled_only=False` all come. Nobody looks at their files: an image
    whose original is gone or another one by now is yielded as it was annotated, though an export
    may leave it out, and so is one that nothing was asked about (`was_asked`). Iterate over the
    dataset, as often as you like; `class_names` and `split_of(key)` go with it. Raises JobError
    where the folder holds no job, and UsageError for a policy or a setting that is none.
    """
    journal = open_journal(Path(out))
    spec, exported = last_spec(journal), journal.exports.policy()
    if exported is not None:
        as_exported = settled.of_export(exported) | settled.chosen_by_export(exported)
        spec = settled.apply(spec, as_exported)
    if policy is not None:
        file = policy_file.read(Path(policy))
        if file is None:
            raise UsageError(f"there is no policy {policy}")
        spec = settled.apply(spec, file.settings)
    return open_chosen(journal, job_spec.change(spec, settings))

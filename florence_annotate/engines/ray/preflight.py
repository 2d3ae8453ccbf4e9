"""What every machine of a cluster needs is looked for there before anything is annotated."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from florence_annotate.engines.ray.session import Session
from florence_annotate.engines.ray.shares import Node
from florence_annotate.engines.ray.worker import find
from florence_annotate.engines.start import Assignment, loading_options
from florence_annotate.errors import EngineError, FlorenceAnnotateError
from florence_annotate.images import codec, loading
from florence_annotate.shapes.scenes import paint
from florence_annotate.types import ImageRef, Picture
from florence_annotate.version import __version__


def refuse_unfit(
    session: Session,
    nodes: Sequence[Node],
    assignment: Assignment,
    weights: str,
    landmarks: Sequence[Path],
) -> None:
    """Raise EngineError, with what each machine lacks: this version of the package, the sources
    by their `landmarks`, the checkpoint of this hash, or a decoder that makes the same pixels."""
    problems = [*_other_versions(session, nodes)]
    if not problems:
        sample = Sample.of(assignment)
        found = session.on_each(nodes, _look, assignment, weights, landmarks, sample)
        problems = [
            f"on {node.host} {problem}" for node, told in found for problem in _in_words(told)
        ]
    if problems:
        some = "; ".join(problems[:_SHOWN])
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise EngineError(f"not all machines of the cluster can take part: {some}{more}")


_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Sample:
    """A JPEG, and what the machine of the command made of it for the model."""

    data: bytes
    pixels: str
    """Their hash."""
    made_by: str

    @classmethod
    def of(cls, assignment: Assignment) -> Self:
        # so large that a decoder that may leave something out does
        side = 5 * assignment.checkpoint.image_size // 2
        data = codec.encode(paint(_SCENE).image.resize((side, side)), ".jpg", 90)
        return cls(data, _pixels_of(data, assignment), _decoder(assignment))

    def problem(self, assignment: Assignment) -> str | None:
        """What is wrong with the decoder of the machine that this is called on."""
        if _pixels_of(self.data, assignment) == self.pixels:
            return None
        return (
            f"a JPEG has other pixels ({_decoder(assignment)}) than on the machine of the command "
            f"({self.made_by}): install the same there"
        )


_SCENE = 3_400_000


def _pixels_of(data: bytes, assignment: Assignment) -> str:
    options = replace(loading_options(assignment.spec, assignment.checkpoint, 1, 0), tiling=None)
    picture = loading.decode(ImageRef("sample", b"", len(data), 0), data, options)
    assert isinstance(picture, Picture)
    return codec.digest(picture.pixels.tobytes())


def _decoder(assignment: Assignment) -> str:
    names = ["Pillow"] if assignment.spec.pixels == "exact" else ["Pillow", "torch"]
    return ", ".join(f"{name} {version(name)}" for name in names)


def _other_versions(session: Session, nodes: Sequence[Node]) -> Iterator[str]:
    def version() -> str:  # travels whole, since it is called where this module may not be
        from florence_annotate.version import __version__

        return str(__version__)

    for node, found in session.on_each(nodes, version):
        if isinstance(found, ImportError):
            yield (
                f"on {node.host} this package can't be imported ({found}): pip install "
                f"'florence-annotate[ray]=={__version__}' there"
            )
        elif isinstance(found, BaseException):
            yield f"{node.host} can't be asked ({_first_line(found)})"
        elif found != __version__:
            yield (
                f"{node.host} has florence-annotate {found}, and the machine of the command "
                f"{__version__}: install the same"
            )


def _look(
    assignment: Assignment, weights: str, landmarks: Sequence[Path], sample: Sample
) -> list[str]:
    """What is wrong on the machine that this is called on."""
    problems = [
        f"nothing is seen of {landmark}: mount it there under the same path"
        for landmark in landmarks
        if not _is_seen(landmark)
    ]
    try:
        find(assignment, weights)
    except FlorenceAnnotateError as error:
        problems.append(str(error))
    if problem := sample.problem(assignment):
        problems.append(problem)
    return problems


def _is_seen(path: Path) -> bool:
    """A folder that is empty is where something else is to be mounted."""
    try:
        return any(path.iterdir()) if path.is_dir() else path.exists()
    except OSError:
        return False


def _in_words(told: Any) -> list[str]:
    return [_first_line(told)] if isinstance(told, BaseException) else list(told)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]

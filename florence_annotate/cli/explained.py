"""How an explanation looks: as text, and as JSON values."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from florence_annotate.cli import screen
from florence_annotate.config import policy_file
from florence_annotate.reports.around_point import Around
from florence_annotate.reports.bringing_back import Change
from florence_annotate.reports.explanation import Explanation, Fate, Parts, Since, State
from florence_annotate.tasks import prompt
from florence_annotate.types import Answer

_EDGES = ("left", "top", "right", "bottom")
_STATES = {
    State.ANNOTATED: "annotated",
    State.FAILED: "failed",
    State.PENDING: "not annotated yet",
    State.BEYOND_LIMIT: "not annotated: --limit leaves it out",
    State.LEFT: "left the job: no source names it any more, so the dataset has it no more",
}


class _Page:
    """Lines on standard output, wrapped to its width."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, markup=False, emoji=False)

    def say(self, text: str, indent: int = 0, style: str = "") -> None:
        content = Text(plain(text), style)
        for line in content.wrap(self._console, self._console.width - indent, overflow="fold"):
            line.rstrip()
            self._console.print(Text(" " * indent) + line, soft_wrap=True)

    def command(self, text: str, indent: int) -> None:
        """On a line of its own, which is not broken, so that it can be copied."""
        self._console.print(Text(" " * indent + plain(text), "green"), soft_wrap=True)

    def head(self, text: str) -> None:
        self._console.print()
        self.say(text, style="bold")


def plain(text: str) -> str:
    """Text in which nothing speaks to the terminal: the model's, or a name from a folder."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )


def show(explanation: Explanation, out: Path) -> None:
    """All of it, as text."""
    page = _Page()
    _show_image(page, explanation, out)
    image = explanation.image
    if image is None:
        return
    page.head("asked")
    if not explanation.answers:
        page.say("nothing: the job has a text or regions for other images, not for it", 2)
    for answer in explanation.answers:
        _show_answer(page, answer)
    for caption in image.captions:
        page.head(f"caption {caption.score:.4f}")
        page.say(caption.text, 2)
    if explanation.kept or explanation.dropped or not image.captions:
        page.head(f"kept: {len(explanation.kept) or 'nothing'}")
    for fate in explanation.kept:
        _show_fate(page, fate, out)
    if explanation.dropped:
        page.head(f"left out: {len(explanation.dropped)}")
    for fate in explanation.dropped:
        _show_fate(page, fate, out)
    if explanation.since is not None:
        _show_since(page, explanation.since, out)


def show_around(explanation: Explanation, around: Around, out: Path) -> None:
    """What lies at a point, as text."""
    page = _Page()
    _show_image(page, explanation, out)
    page.head(f"at {around.x:g},{around.y:g}")
    for fate in around.covering:
        _show_fate(page, fate, out, f"{'left out: ' if fate.dropped else 'kept: '}")
    if around.covering:
        return
    page.say("nothing that the model said covers this point", 2)
    for distance, fate in around.nearest:
        what = "left out" if fate.dropped else "kept"
        _show_fate(page, fate, out, f"{distance:.0f} pixels away, {what}: ")
    for fate in around.without_place:
        _show_fate(page, fate, out, "said without a place: ")
    if around.to_try:
        page.head("to try")
    for what, line in around.to_try:
        page.say(what, 2)
        page.command(line, 4)


def _show_image(page: _Page, explanation: Explanation, out: Path) -> None:
    image, assigned = explanation.image, explanation.assigned
    size = f", {image.width} x {image.height} pixels" if image else ""
    page.say(f"{explanation.ref.key}{size}: {_STATES[explanation.state]}", style="bold")
    if assigned is not None:
        split = f" in the split {assigned.split}" if assigned.split else ""
        page.say(f"in the dataset as {assigned.name}{split}", 2)
    if (failure := explanation.failure) is not None:
        page.say(f"{failure.kind} ({failure.stage}): {failure.message}", 2)
        page.say("to try it again:", 2)
        page.command(f"{screen.command('resume', out)} --retry-failed", 4)
        if image is not None:
            page.say("what follows was said about it before", 2)
    if explanation.state is State.PENDING:
        page.say("to annotate it:", 2)
        page.command(screen.command("resume", out), 4)
    if image is not None and image.truncated:
        page.say("an answer was cut at the token limit: there may be more", 2)


def _show_answer(page: _Page, answer: Answer) -> None:
    question = answer.question
    where = f" of the tile at {_corners(question.view)}" if question.view else ""
    region = f" about the region {_corners(question.region)}" if question.region else ""
    page.say(f"{question.task}{where}{region}: {prompt(question)}", 2)
    cut = " … cut at the token limit" if answer.truncated else ""
    page.say((said_in(answer) or "(nothing)") + cut, 4)


def said_in(answer: Answer) -> str:
    """What the model wrote, with its location tokens."""
    return answer.data.decode("utf-8", errors="replace")


def _show_fate(page: _Page, fate: Fate, out: Path, before: str = "") -> None:
    name = fate.label or "(no label)"
    if fate.class_name not in (None, fate.label):
        name = f"{fate.class_name} ({fate.label})"
    where = f" at {_corners(fate.box)}" if fate.box else ""
    page.say(f"{before}{name} {fate.score:.4f}{where}", 2)
    if fate.parts is not None:
        page.say(_told(fate.parts), 4, "dim")
    if fate.dropped is None:
        return
    detail = f" ({fate.dropped.detail})" if fate.dropped.detail else ""
    page.say(f"{fate.dropped.reason}: {fate.dropped.reason.sentence}{detail}", 4)
    if fate.back is not None and fate.back.changes:
        _show_back(page, fate.back.changes, out)
    elif fate.back is not None:
        page.say(f"nothing brings it back: {fate.back.why_not}", 4)


def _told(parts: Parts) -> str:
    if parts.power is None or parts.label is None:
        return "score: geometric mean of the probabilities of its tokens"
    probabilities = zip(("label", *_EDGES), (parts.label, *parts.edges), strict=True)
    product = " · ".join(f"{name} {part:.3f}" for name, part in probabilities)
    return f"({product})^{Fraction(parts.power).limit_denominator(100)}"


def _show_back(page: _Page, changes: Iterable[Change], out: Path) -> None:
    """What to write, flags and classes, and the command."""
    flags = [one.written for one in changes if one.class_name is None]
    classes = [one.written for one in changes if one.class_name is not None]
    if classes:
        page.say(f"back with this under classes in {out / policy_file.NAME}:", 4)
        for entry in classes:
            page.command(entry, 6)
    page.say("and then" if classes else "back with", 4)
    page.command(" ".join([screen.command("export", out), *flags]), 6)


def _show_since(page: _Page, since: Since, out: Path) -> None:
    lines = list(since.settings)
    if since.is_asked_again:
        lines.append("the image was annotated after the last export")
    if since.left_out is not None:
        lines.append(f"the last export left the image out: {since.left_out}")
    if not lines:
        return
    page.head("since the last export")
    for line in lines:
        page.say(line, 2)
    if since.settings and not (since.gained or since.lost):
        page.say("which changes no box of this image", 2)
    for sign, fates in (("+", since.gained), ("-", since.lost)):
        for fate in fates:
            where = f" at {_corners(fate.box)}" if fate.box else ""
            page.say(f"{sign} {fate.class_name} {fate.score:.4f}{where}", 2)
    page.say("to bring the dataset up to date:", 2)
    page.command(screen.command("export", out), 4)


def _corners(box: Iterable[float] | None) -> str:
    return ", ".join(f"{edge:.1f}" for edge in box or ())


def to_json(explanation: Explanation, around: Around | None) -> dict[str, Any]:
    """All of it, as JSON values."""
    image, failure = explanation.image, explanation.failure
    assigned, since = explanation.assigned, explanation.since
    values: dict[str, Any] = {
        "key": explanation.ref.key,
        "state": explanation.state,
        "failure": failure
        and {"stage": failure.stage, "kind": failure.kind, "message": failure.message},
        "file_name": assigned and assigned.name,
        "split": assigned and assigned.split,
        "width": image and image.width,
        "height": image and image.height,
        "truncated": image and image.truncated,
        "answers": [
            {
                "task": answer.question.task,
                "prompt": prompt(answer.question),
                "view": answer.question.view,
                "region": answer.question.region,
                "said": said_in(answer),
                "truncated": answer.truncated,
            }
            for answer in explanation.answers
        ],
        "captions": [
            {"task": one.task, "text": one.text, "score": round(one.score, 4)}
            for one in (image.captions if image else ())
        ],
        "kept": [_fate(one) for one in explanation.kept],
        "dropped": [_fate(one) for one in explanation.dropped],
        "since_export": since
        and {
            "settings": list(since.settings),
            "annotated_again": since.is_asked_again,
            "left_out": since.left_out,
            "gained": [_fate(one) for one in since.gained],
            "lost": [_fate(one) for one in since.lost],
        },
    }
    if around is not None:
        values["at"] = {
            "x": around.x,
            "y": around.y,
            "covering": [_fate(one) for one in around.covering],
            "nearest": [{"pixels": round(far, 1), **_fate(one)} for far, one in around.nearest],
            "without_place": [_fate(one) for one in around.without_place],
            "to_try": [{"for": what, "command": line} for what, line in around.to_try],
        }
    return values


def _fate(fate: Fate) -> dict[str, Any]:
    values: dict[str, Any] = {
        "label": fate.label,
        "class": fate.class_name,
        "score": round(fate.score, 4),
        "box": fate.box and [round(edge, 4) for edge in fate.box],
        "task": fate.task,
        "score_parts": fate.parts and _parts(fate.parts),
    }
    if fate.dropped is not None:
        values["reason"] = fate.dropped.reason
        values["detail"] = fate.dropped.detail
    if fate.back is not None:
        changes = fate.back.changes
        values["back_with"] = [
            {
                "setting": one.setting,
                "class": one.class_name,
                "write": one.written,
                "value": None if one.class_name else one.value,
            }
            for one in changes
        ]
        values["why_not_back"] = fate.back.why_not or None
    return values


def _parts(parts: Parts) -> dict[str, Any]:
    return {
        "definition": parts.definition,
        "label": parts.label,
        "edges": dict(zip(_EDGES, parts.edges, strict=True)) if parts.edges else None,
        "power": parts.power,
    }

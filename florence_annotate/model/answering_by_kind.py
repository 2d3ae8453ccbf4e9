"""Questions of both kinds, with locations and with text, each answered by settings of its own."""

from typing import Any

from florence_annotate.tasks import Kind, of
from florence_annotate.types import Answer, Answering, Generation, Question


def settings_for(generation: Generation, question: Question) -> Generation:
    """The settings that a question is answered by."""
    if generation.for_text is not None and of(question).kind is Kind.TEXT:
        return generation.for_text
    return generation


class AnsweringByKind:
    """Two queues as one. See `florence_annotate.types.Answering`."""

    def __init__(self, locations: Answering, text: Answering) -> None:
        self._queues = {Kind.LOCATIONS: locations, Kind.TEXT: text}

    @property
    def free(self) -> int:
        """Of the fuller queue, so that neither grows while the other has room."""
        return min(queue.free for queue in self._queues.values())

    def ask(self, ticket: int, features: Any, question: Question) -> None:
        self._queues[of(question).kind].ask(ticket, features, question)

    def answers(self) -> list[tuple[int, Answer]]:
        """The next answers of the fuller queue; of the other where that has none."""
        for queue in sorted(self._queues.values(), key=lambda queue: queue.free):
            if found := queue.answers():
                return found
        return []

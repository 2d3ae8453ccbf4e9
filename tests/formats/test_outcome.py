"""What an export came to, through the journal and back."""

import json
from collections import Counter
from collections.abc import Iterator

from florence_annotate.dataset.statistics import Statistics
from florence_annotate.formats.entries import Notes
from florence_annotate.formats.outcome import Outcome
from florence_annotate.reasons import Reason


def test_an_outcome_comes_back_as_it_was() -> None:
    statistics = Statistics(
        Counter({"car": 3, "tree": 1}),
        Counter({Reason.NO_CLASS: 2, Reason.MIN_SCORE: 1}),
        Counter({"z": 1, "a": 1}),
        captions=Counter({"ocr": 1, "caption": 4}),
        not_asked=5,
        truncated=["a.png"],
    )
    notes = Notes({}, {"dot.png": "1x1"}, 6, ["val"], ["val"], 7)

    def files() -> Iterator[tuple[str, str]]:
        yield "data.yaml", "abc"

    outcome = Outcome(("yolo",), ("car", "tree"), statistics, notes, files)
    back = Outcome.from_json(json.loads(json.dumps(outcome.to_json())), files)
    assert back == outcome and list(back.files()) == [("data.yaml", "abc")]
    # labels that are equally frequent are told in the order in which they came
    assert back.statistics.unmapped.most_common() == [("z", 1), ("a", 1)]
    assert sorted(back.statistics.dropped) == sorted(statistics.dropped)

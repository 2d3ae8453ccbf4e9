from pathlib import Path
from typing import Any

import pytest

from florence_annotate.config import job_spec, presets
from florence_annotate.config.job_spec import JobSpec
from florence_annotate.config.settings import MaxFailures
from florence_annotate.errors import FingerprintError, JobError, UsageError
from florence_annotate.jobs import fingerprint


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_is_valid(name: str) -> None:
    job_spec.build({}, name)


def test_a_flag_beats_the_preset(tmp_path: Path) -> None:
    preset = tmp_path / "mine.yaml"
    preset.write_text("num-beams: 3\nformat: coco\nclasses: [a, b]\nsplit: {train: 1}")
    spec = job_spec.build({"num_beams": 1, "classes": "c", "model": None}, str(preset))
    assert (spec.num_beams, spec.formats, spec.split) == (1, ("coco",), {"train": 1.0})
    assert [c.name for c in spec.classes or ()] == ["c"]


def test_a_class_file_in_a_preset_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("hat\n")
    (tmp_path / "mine.yaml").write_text("classes-file: names.txt")
    spec = job_spec.build({}, str(tmp_path / "mine.yaml"))
    assert [c.name for c in spec.classes or ()] == ["hat"]


def test_files_of_a_preset_lie_beside_it_and_its_presence_means_verify(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("texts: a.csv\ntiles: 768\npresence: true")
    spec = job_spec.build({}, str(tmp_path / "mine.yaml"))
    assert spec.texts == str(tmp_path / "a.csv")
    assert (spec.tiles, spec.recipe) == ("768", "verify")
    (tmp_path / "mine.yaml").write_text("texts: sidecar")
    assert job_spec.build({}, str(tmp_path / "mine.yaml")).texts == "sidecar"


def test_a_checkpoint_in_a_folder_is_found_from_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("tuned", "shapes"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    spec = job_spec.build({"model": "./tuned", "adapter": "tuned"})
    assert spec.model == spec.adapter == str(tmp_path / "tuned")
    assert job_spec.build({"model": "shapes"}).model == "shapes"
    assert job_spec.build({"model": "base-ft"}).model == "base-ft"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"overlap": 0.3}, "give --tiles"),
        ({"batch_size": 0}, "--batch-size: 0 won't do"),
        ({"device": "gpu"}, "--device: 'gpu'"),
        ({"dtype": "int8"}, "--dtype: 'int8'"),
        ({"strategy": "best"}, "--strategy: 'best'"),
        ({"split": "train"}, "--split: 'train'"),
        ({"split": "train=0.5,val=0.6"}, "add up to 1.1"),
        ({"split": "val=1"}, "needs train"),
        ({"split": "train=0.5,dev=0.5"}, "val, test"),
        ({"split": "train=0.5,train=0.5"}, "named twice"),
        ({"split": "train=1.5,val=-0.5"}, "above 0"),
        ({"split": "train=nan"}, "above 0"),
        ({"limit": 10**20}, "--limit"),
        ({"formats": 3}, "--format: 3"),
        ({"batch_size": 5000}, "from 1 to 1024"),
        ({"num_beams": 65}, "--num-beams"),
        ({"max_failures": "some"}, "2%"),
        ({"max_failures": "-1"}, "--max-failures"),
        ({"min_score": 2.0}, "--min-score"),
        ({"nms": -0.1}, "--nms"),
        ({"min_area": "inf"}, "--min-area"),
        ({"images": "move"}, "--images"),
        ({"task": "dance"}, "there is no task 'dance'"),
        ({"task": "caption,dance"}, "there is no task 'dance'"),
        ({"task": ","}, "--task: ',' won't do"),
        ({"prompt": " "}, "--prompt: ' ' won't do"),
        ({"gives": "masks"}, "--gives: 'masks'"),
        ({"classes": "a", "classes_file": "b"}, "not both"),
        ({"colour": 1}, "no setting 'colour'"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_in_one_line(
    flags: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        job_spec.build(flags)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[1]", "{", "a: b"])
def test_a_preset_that_makes_no_sense_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(UsageError):
        job_spec.build({}, str(tmp_path / "mine.yaml"))


def test_an_unknown_preset_is_refused_with_the_list() -> None:
    with pytest.raises(UsageError, match="demo, fast"):
        job_spec.build({}, "nothing")


def test_a_specification_survives_the_journal() -> None:
    spec = job_spec.build(
        {"classes": "a,b", "split": "train=0.7,test=0.3", "max_failures": "2%", "sources": ("x",)}
    )
    assert job_spec.load(job_spec.dump(spec)) == spec.model_copy(update={"by_flag": frozenset()})


@pytest.mark.parametrize(
    ("settings", "asked"),
    [
        ({}, ["<OD>"]),
        ({"task": "more-detailed-caption, <caption>"}, ["<MORE_DETAILED_CAPTION>", "<CAPTION>"]),
        ({"task": ["caption", "caption", "detection"]}, ["<OD>", "<CAPTION>"]),
        ({"prompt": "<TAGS>"}, ["prompt:text"]),
        ({"prompt": "<FIND>", "gives": "polygons"}, ["prompt:polygons"]),
        ({"prompt": "<TAGS>", "task": "detection"}, ["<OD>", "prompt:text"]),
        ({"prompt": "<FIND>", "gives": "boxes", "task": "ocr"}, ["prompt:boxes", "<OCR>"]),
    ],
)
def test_what_points_at_things_is_asked_first_and_a_prompt_goes_for_the_default_task(
    settings: dict[str, Any], asked: list[str]
) -> None:
    spec = job_spec.load(job_spec.dump(job_spec.build(settings)))
    assert [task.token for task in spec.asked] == asked
    request = spec.request()
    assert [task.token for task in (request.task, *request.also)] == asked


def test_an_answer_to_no_prompt_is_refused() -> None:
    with pytest.raises(UsageError, match="give --prompt too"):
        job_spec.build({"gives": "boxes"}).request()


def test_a_visuals_limit_means_visuals() -> None:
    assert job_spec.build({"visuals_limit": 2}).visuals
    assert not job_spec.build({"visuals_limit": 2, "visuals": False}).visuals


def test_changes_take_the_forms_of_flags() -> None:
    spec = job_spec.change(JobSpec(), {"formats": "coco", "classes": "a", "seed": None, "nms": 0.5})
    assert (spec.formats, spec.nms, spec.seed) == (("coco",), 0.5, 0)
    assert [c.name for c in spec.classes or ()] == ["a"]


@pytest.mark.parametrize(
    ("limit", "failures", "images", "allowed"),
    [
        (MaxFailures(count=2), 2, 9, True),
        (MaxFailures(count=2), 3, 9, False),
        (MaxFailures(percent=10), 1, 10, True),
        (MaxFailures(percent=10), 2, 19, False),
    ],
)
def test_failures_are_allowed_by_number_or_share(
    limit: MaxFailures, failures: int, images: int, allowed: bool
) -> None:
    assert limit.allows(failures, images) is allowed


def test_another_bound_value_is_refused_with_both_values() -> None:
    fingerprint.refuse_other({"dtype": "float32"}, {"dtype": "float32"}, Path("out"))
    with pytest.raises(FingerprintError, match='dtype = "float32", and now it is "bfloat16"'):
        fingerprint.refuse_other({"dtype": "float32"}, {"dtype": "bfloat16"}, Path("out"))


def test_settings_of_a_newer_version_are_refused_by_name() -> None:
    text = job_spec.dump(JobSpec()).replace('"seed"', '"soil": 1, "seed"')
    with pytest.raises(JobError, match=r"newer florence-annotate \(soil\)"):
        job_spec.load(text)

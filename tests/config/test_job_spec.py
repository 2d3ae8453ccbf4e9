from pathlib import Path
from typing import Any

import pytest

from florence_annotate.config import job_spec, presets
from florence_annotate.config.gate_settings import MaxFailures
from florence_annotate.config.job_spec import OPTIONS, JobSpec
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


def test_a_presence_in_a_preset_means_verify(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("tiles: 768\npresence: true")
    spec = job_spec.build({}, str(tmp_path / "mine.yaml"))
    assert (spec.tiles, spec.recipe) == ("768", "verify")


LOCATING = [name for name, option in OPTIONS.items() if option.locates]


@pytest.mark.parametrize("name", sorted(set(LOCATING) - {"classes_file", "split_file"}))
def test_every_relative_path_in_a_preset_begins_where_it_lies(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "configs" / "data").mkdir(parents=True)
    (tmp_path / "elsewhere" / "data").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere")
    for written, found in (
        ("data", "configs/data"),
        ("../elsewhere/data", "elsewhere/data"),
        ("./missing", "configs/missing"),
        (str(tmp_path / "elsewhere"), "elsewhere"),
    ):
        (tmp_path / "configs" / "mine.yaml").write_text(f"{name}: {written}")
        spec = job_spec.build({}, "../configs/mine.yaml")
        assert Path(getattr(spec, name)).resolve() == tmp_path / found


@pytest.mark.parametrize("written", ["val=a.txt,test=b/c.txt", "{val: a.txt, test: b/c.txt}"])
def test_lists_of_splits_in_a_preset_lie_beside_it(tmp_path: Path, written: str) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "a.txt").write_text("1.jpg")
    (tmp_path / "b" / "c.txt").write_text("2.jpg")
    (tmp_path / "mine.yaml").write_text(f"split-file: {written}")
    spec = job_spec.build({}, str(tmp_path / "mine.yaml"))
    assert spec.split_file == {"val": ("1.jpg",), "test": ("2.jpg",)}
    (tmp_path / "mine.yaml").write_text("split-file: val=a.txt,val=b/c.txt")
    with pytest.raises(UsageError, match=r"line 1, split-file: .*val is named twice"):
        job_spec.build({}, str(tmp_path / "mine.yaml"))
    assert job_spec.build({"split_file": "none"}).split_file is None


def test_names_in_a_preset_that_are_no_paths_stay(tmp_path: Path) -> None:
    (tmp_path / "shapes").mkdir()
    (tmp_path / "mine.yaml").write_text("model: shapes\nadapter: me/lora\ntexts: sidecar")
    spec = job_spec.build({}, str(tmp_path / "mine.yaml"))
    assert (spec.model, spec.adapter, spec.texts) == ("shapes", "me/lora", "sidecar")


def test_settings_with_paths_are_declared_so() -> None:
    assert set(LOCATING) == {
        *("classes_file", "split_file", "texts", "regions", "model", "adapter"),
    }


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
        ({"batch_size": 0}, "--batch-size: 0 won't do: write a whole number from 1 to 1024, or a"),
        ({"device": "gpu"}, "--device: 'gpu' won't do: write auto, cpu"),
        ({"dtype": "int8"}, "--dtype: 'int8'"),
        ({"strategy": "best"}, "choose one of auto, od"),
        ({"split": "train"}, "--split: 'train'"),
        ({"split": "train=0.5,val=0.6"}, "add up to 1.1"),
        ({"split": "val=1"}, "needs train"),
        ({"split": "train=0.5,dev=0.5"}, "val, test"),
        ({"split": "train=0.5,train=0.5"}, "named twice"),
        ({"split": "train=1.5,val=-0.5"}, "above 0"),
        ({"split": "train=nan"}, "above 0"),
        ({"limit": 10**20}, "write a whole number of 1 or more"),
        ({"formats": 3}, "--format: 3"),
        ({"num_beams": 65}, "--num-beams: 65 won't do: write a whole number from 1 to 64"),
        ({"workers": 257}, "--workers: 257 won't do: write a whole number from 0 to 256"),
        ({"no_repeat_ngram": -1}, "write a whole number of 0 or more, or own"),
        ({"max_area": 0}, "write a number above 0, at most 1"),
        ({"seed": "1.5"}, "--seed: '1.5' won't do: write a whole number"),
        ({"visuals": "maybe"}, "write true or false"),
        ({"tiles": "1"}, "--tiles 1: write columns and rows"),
        ({"tiles": "9" * 5000}, "at least 32"),
        ({"include": ""}, "--include: '' won't do: it is empty"),
        ({"exclude": " , "}, "--exclude: ' , ' won't do: it is empty"),
        ({"sources": 3}, "SOURCE: 3 won't do"),
        ({"max_failures": "some"}, "2%"),
        ({"max_failures": "-1"}, "--max-failures"),
        ({"min_labelled": "0.9"}, "--min-labelled: '0.9' won't do: write a share from 0% to 100%"),
        ({"min_labelled": "101%"}, "--min-labelled"),
        ({"max_truncated": "nan%"}, "--max-truncated"),
        ({"min_instances": "car"}, "write classes with a whole number of 1 or more, as in car=10"),
        ({"min_instances": "car=0"}, "--min-instances"),
        ({"min_instances": "car=1,car=2"}, "car is named twice"),
        ({"min_instances": ""}, "--min-instances"),
        ({"min_score": 2.0}, "--min-score: 2.0 won't do: write a number from 0 to 1"),
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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "must hold `setting: value` lines"),
        ("{", "not valid YAML"),
        ("1: b", "must hold"),
        ("seed: 1\nminscore: 0.4", "line 2, minscore: there is no such setting"),
        ("minscore: 0.4", "did you mean min-score?"),
        ("colour: red", "line 1, colour: there is no such setting: 'florence-annotate run --help'"),
        ("sources: [a]", "line 1, sources: there is no such setting"),
        ("\nmin-score: 2", "line 2, min-score: 2 won't do: write a number from 0 to 1"),
        ("images: copy\nnms: high", "line 2, nms: 'high' won't do"),
        ("format: [1]", "line 1, format: 1 won't do"),
        ("overlap: 0.3", "line 1, overlap is that of tiles: give --tiles"),
        ("tiles: 8", "--tiles 8: write"),
        ("task: dance", "there is no task 'dance'"),
        ("classes-file: none.txt", "none.txt"),
        ("classes: []", "the class list is empty"),
        ("min-score: 0.1\nmin_score: 0.2", "line 2, min_score: it is set twice"),
        ("include: ''", "line 1, include: '' won't do: it is empty"),
    ],
)  # fmt: skip
def test_a_preset_that_makes_no_sense_is_refused_with_its_name(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(UsageError) as caught:
        job_spec.build({}, str(tmp_path / "mine.yaml"))
    assert str(tmp_path / "mine.yaml") in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_a_flag_beats_need_make_no_sense(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("classes-file: none.txt\nnms: high\noverlap: 0.3")
    flags = {"classes": "a", "nms": 0.5, "tiles": "2x2"}
    assert job_spec.build(flags, str(tmp_path / "mine.yaml")).overlap == 0.3


def test_a_job_with_more_readers_than_there_may_be_today_goes_on_with_fewer() -> None:
    text = job_spec.dump(JobSpec()).replace('"workers": null', '"workers": 1000')
    assert job_spec.load(text).workers == 256


def test_an_unknown_preset_is_refused_with_the_list() -> None:
    with pytest.raises(UsageError, match="demo, fast"):
        job_spec.build({}, "nothing")


def test_a_specification_survives_the_journal() -> None:
    spec = job_spec.build(
        {
            "classes": "a,b",
            "split": "train=0.7,test=0.3",
            "sources": ("x",),
            "max_failures": "2%",
            "min_labelled": "90.5%",
            "max_truncated": "0%",
            "min_instances": "a=3, b = 2",
        }
    )
    assert job_spec.load(job_spec.dump(spec)) == spec.model_copy(update={"by_flag": frozenset()})


def test_a_gate_of_a_preset_is_taken_away(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("min-labelled: 80%\nmin-instances: {car: 5}\n")
    given = {"min_instances": "none", "max_truncated": "none"}
    spec = job_spec.build(given, str(tmp_path / "own.yaml"))
    assert (str(spec.min_labelled), spec.min_instances, spec.max_truncated) == ("80%", None, None)


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

"""`run` and its companions, as a user gives them."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import annotate, command, scores, tree
from PIL import Image
from safetensors.torch import load_file, save_file
from small_models import copy_of_shapes


def some(scenes: Path, folder: Path, count: int) -> Path:
    """A folder with the first images of `scenes`."""
    folder.mkdir(parents=True)
    for path in sorted(scenes.glob("*.jpg"))[:count]:
        shutil.copy2(path, folder)
    return folder


def counted(annotated: int) -> dict[str, int]:
    """Of images that are all annotated, as the summary counts them."""
    return {
        "images": annotated,
        "annotated": annotated,
        "failed": 0,
        "beyond_limit": 0,
        "pending": 0,
    }


@pytest.mark.parametrize(
    "options",
    [("--batch-size", 1), ("--batch-size", 3, "--threads", 3), ("--batch-size", 8, "--workers", 2)],
    ids=["batch 1", "batch 3, 3 threads", "batch 8, 2 workers"],
)
def test_batches_threads_and_workers_change_nothing_but_a_scores_last_digits(
    scenes: Path, dataset: Path, tmp_path: Path, options: tuple[object, ...]
) -> None:
    out = tmp_path / "out"
    assert annotate(scenes, out, "--visuals", "--images", "hardlink", *options).code == 0
    plain = tree(out, without_scores=True)
    expected = tree(dataset, without_scores=True)
    assert plain.keys() == expected.keys()
    for name in expected:
        if not name.startswith(("visuals/", "images/")):  # scores are drawn; links are relative
            assert plain[name] == expected[name], name
    assert scores(out) == pytest.approx(scores(dataset), abs=0.001)


def test_the_last_screen_says_what_was_written_and_the_summary_holds_it(
    scenes: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = annotate(some(scenes, tmp_path / "in", 5), out)
    assert result.code == 0
    summary = json.loads((out / "summary.json").read_text())
    assert "5 of 5 images annotated" in result.out
    for name, count in summary["classes"].items():
        assert name in result.out
        assert str(count) in result.out
    assert str(out) in result.out
    assert "demonstration" in result.err
    assert summary["finished"] is True
    assert summary["images"] == counted(5)
    assert summary["versions"]["transformers"]
    import hashlib

    for name, content in summary["files"].items():
        if content.startswith("link:"):
            assert str((out / name).readlink()) == content.removeprefix("link:")
        else:
            assert hashlib.sha256((out / name).read_bytes()).hexdigest() == content


def test_json_is_the_summary_and_quiet_is_quiet(scenes: Path, tmp_path: Path) -> None:
    source = some(scenes, tmp_path / "in", 3)
    result = annotate(source, tmp_path / "a", "--json")
    assert result.json == json.loads((tmp_path / "a" / "summary.json").read_text())
    quiet = annotate(source, tmp_path / "b", "--quiet")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")


def test_the_default_output_lies_beside_the_folder(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some(scenes, tmp_path / "images", 2)
    monkeypatch.chdir(tmp_path)
    assert command("run", "./images", "--model", "shapes", "--workers", 0, "-q").code == 0
    assert (tmp_path / "images-dataset" / "data.yaml").exists()
    monkeypatch.chdir(tmp_path / "images")
    refused = command("run", ".", "--model", "shapes")
    assert refused.code == 2
    assert "-o" in refused.err


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(scenes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = annotate(scenes, out, "--dry-run", "--classes", "star,red cross", "--json")
    assert result.code == 0, result.err
    assert result.json["images"] == 20
    assert result.json["routes"] == {
        "star": "<OD>", "red cross": "<OPEN_VOCABULARY_DETECTION>",
    }  # fmt: skip
    assert not out.exists()
    assert "nothing was written" in annotate(scenes, out, "--dry-run").out


def test_classes_keep_their_order_and_unmapped_labels_are_counted(
    dataset: Path, scenes: Path, tmp_path: Path
) -> None:
    everything = json.loads((dataset / "summary.json").read_text())["classes"]
    result = annotate(scenes, tmp_path / "out", "--classes", "Stars,cross", "--json")
    assert result.code == 0, result.err
    assert result.json["classes"] == {
        "Stars": everything["star"], "cross": everything["cross"],
    }  # fmt: skip
    others = {name: n for name, n in everything.items() if name not in ("star", "cross")}
    assert result.json["unmapped_labels"] == others
    assert result.json["dropped"]["no-class"] == sum(others.values())


@pytest.mark.parametrize("strategy", ["od", "open-vocabulary", "grounding", "segmentation"])
def test_every_strategy_finds_the_shapes(
    scenes: Path, dataset: Path, tmp_path: Path, strategy: str
) -> None:
    out = tmp_path / "out"
    names = "ellipse,rectangle,triangle,star,cross"
    result = annotate(scenes, out, "--classes", names, "--strategy", strategy, "--json")
    assert result.code == 0, result.err
    expected = json.loads((dataset / "summary.json").read_text())["instances"]
    assert result.json["instances"] == pytest.approx(expected, rel=0.2)


def test_a_limit_first_and_the_rest_later_is_one_job(
    scenes: Path, dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = annotate(scenes, out, "--limit", 5, "--json")
    assert first.json["images"]["images"] == 5
    second = annotate(scenes, out, "--json")
    assert second.json["run"]["annotated"] == 15
    assert "going on: 5 annotated" in second.err
    assert (
        tree(out, without_scores=True)["annotations/instances_train.json"]
        == (tree(dataset, without_scores=True)["annotations/instances_train.json"])
    )


def test_images_may_be_added_removed_changed_and_touched(scenes: Path, tmp_path: Path) -> None:
    source = some(scenes, tmp_path / "in", 6)
    out = tmp_path / "out"
    assert annotate(source, out, "-q").code == 0
    names = sorted(path.name for path in source.iterdir())
    (source / names[0]).unlink()
    shutil.copy(source / names[2], source / names[1])  # changed
    os.utime(source / names[3], (1, 1))  # touched, same bytes
    Image.new("RGB", (64, 64)).save(source / "new.png")
    result = annotate(source, out, "--json")
    assert result.json["run"]["annotated"] == 2
    assert result.json["images"] == counted(6)
    labels = {path.stem for path in (out / "labels").rglob("*.txt")}
    assert labels == {Path(name).stem for name in names[1:]} | {"new"}
    again = annotate(source, out, "--json")
    assert again.json["run"]["annotated"] == 0


@pytest.mark.parametrize(
    ("options", "setting"),
    [
        (("--max-new-tokens", 99), "max_new_tokens = 512, and now it is 99"),
        (("--num-beams", 2), "num_beams = 1"),
        (("--no-repeat-ngram", 3), "no_repeat_ngram = 0"),
        (("--no-retry-truncated",), "retry_truncated = true"),
        (("--dtype", "bfloat16"), 'dtype = "float32"'),
        (("--pixels", "fast"), 'pixels = "exact"'),
        (("--classes", "red star"), "questions"),
    ],
)
def test_a_resume_with_a_setting_that_changes_answers_is_refused(
    dataset: Path, scenes: Path, options: tuple[object, ...], setting: str
) -> None:
    before = tree(dataset)
    result = annotate(scenes, dataset, *options)
    assert result.code == 1
    assert setting in result.err
    assert "--restart" in result.err
    assert tree(dataset) == before


def test_another_checkpoint_is_refused(dataset: Path, scenes: Path, tmp_path: Path) -> None:
    from florence_annotate.shapes import CHECKPOINT

    folder = Path(shutil.copytree(CHECKPOINT, tmp_path / "tuned"))
    result = annotate(scenes, dataset, "--model", folder)
    assert result.code == 1
    assert "model" in result.err


def test_weights_that_changed_since_are_refused(scenes: Path, tmp_path: Path) -> None:
    folder, out = copy_of_shapes(tmp_path), tmp_path / "out"
    assert annotate(scenes, out, "--model", folder, "--limit", 1).code == 0
    tensors = load_file(folder / "model.safetensors")
    name = next(name for name in tensors if name.endswith("fc1.weight"))
    tensors[name] = tensors[name] * 1.001
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    result = annotate(scenes, out, "--model", folder, "--limit", 2)
    assert result.code == 1
    assert "begun with a checkpoint whose files" in result.err


def test_the_commit_of_a_checkpoint_from_the_hub_binds_the_job(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    folder = copy_of_shapes(tmp_path).rename(tmp_path / commit)
    asked: list[tuple[str, str | None]] = []

    def snapshot_download(repository: str, *, revision: str | None, **_: object) -> str:
        asked.append((repository, revision))
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    options = ["--model", "me/tuned", "--revision", "main", "--limit", 1, "--json"]
    result = annotate(scenes, tmp_path / "out", *options)
    assert result.code == 0, result.err
    assert asked == [("me/tuned", "main")]
    assert result.json["fingerprint"]["revision"] == commit
    assert len(result.json["fingerprint"]["weights"]) == 64


def test_a_restart_begins_again(scenes: Path, tmp_path: Path) -> None:
    source = some(scenes, tmp_path / "in", 3)
    out = tmp_path / "out"
    assert annotate(source, out, "-q").code == 0
    result = annotate(source, out, "--max-new-tokens", 99, "--restart", "--json")
    assert result.code == 0, result.err
    assert result.json["run"]["annotated"] == 3
    assert result.json["fingerprint"]["max_new_tokens"] == 99


def test_a_resume_takes_its_settings_from_the_journal(scenes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--classes", "star", "--min-score", 0.5, "--split", "train=1")
    assert annotate(scenes, out, "--limit", 4, *options).code == 0
    result = command("resume", out, "--json")
    assert result.code == 0, result.err
    assert result.json["settings"]["min_score"] == 0.5
    assert list(result.json["classes"]) == ["star"]
    assert result.json["images"]["images"] == 4
    assert command("resume", tmp_path / "nowhere").code == 1


def test_status_tells_how_far_a_job_is(dataset: Path) -> None:
    result = command("status", dataset)
    assert "20 of 20 images done" in result.out
    assert command("status", dataset, "--json").json["annotated"] == 20


def test_truncated_answers_are_marked_counted_and_shown(scenes: Path, tmp_path: Path) -> None:
    source = some(scenes, tmp_path / "in", 6)
    cut = annotate(source, tmp_path / "a", "--max-new-tokens", 8, "--no-retry-truncated", "--json")
    whole = annotate(source, tmp_path / "b", "--json")
    assert whole.json["truncated"] == []
    assert len(cut.json["truncated"]) >= 3
    assert "cut at the token limit" in command("export", tmp_path / "a").out


def test_failures_are_listed_retried_and_in_the_exit_code(scenes: Path, tmp_path: Path) -> None:
    source = some(scenes, tmp_path / "in", 3)
    broken = source / "broken.jpg"
    broken.write_bytes(b"nothing")
    out = tmp_path / "out"
    result = annotate(source, out)
    assert result.code == 3
    assert "1 image failed: florence-annotate failures" in result.out
    assert "broken.jpg: not-an-image (decode)" in command("failures", out).out
    assert command("failures", out, "--json").json[0]["key"] == "broken.jpg"
    assert not list((out / "labels").rglob("broken.txt"))
    assert annotate(source, out, "--max-failures", 1).code == 0
    assert annotate(source, out, "--max-failures", "20%").code == 3
    assert annotate(source, out, "--max-failures", "25%").code == 0

    shutil.copy(next(scenes.glob("*.jpg")), broken)
    fixed = annotate(source, out, "--json")  # another size: asked again without being told
    assert (fixed.code, fixed.json["images"]["failed"]) == (0, 0)


def test_failed_images_are_tried_again_only_when_asked(scenes: Path, tmp_path: Path) -> None:
    source = some(scenes, tmp_path / "in", 1)
    (source / "broken.jpg").write_bytes(b"nothing")
    out = tmp_path / "out"
    annotate(source, out)
    assert annotate(source, out, "--json").json["run"]["failed"] == 0
    assert annotate(source, out, "--retry-failed", "--json").json["run"]["failed"] == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("empty",), 1, "no image found"),
        (("nowhere",), 1, "is not there"),
        (("in", "--output", "in/out"), 2, "lies in the source"),
        (("in/deep", "--output", "in"), 2, "lies in the output"),
        (("in/deep/1.png", "--output", "in/deep"), 2, "in/deep/1.png lies in the output"),
        (("in", "--output", "other/notes.txt"), 2, "is a file"),
        (("in", "--output", "other"), 2, "holds other files"),
        (("in", "--classes", ""), 2, "empty name"),
        (("in", "--classes", "a,a"), 2, "twice"),
        (("in", "--classes-file", "nowhere"), 2, "can't read the class file"),
        (("in", "--format", "csv"), 2, "no format 'csv'"),
        (("in", "--format", ","), 2, "names no format"),
        (("in", "--task", "dance"), 2, "no task 'dance'"),
        (("in", "--config", "nothing"), 2, "no preset or file"),
        (("in", "--batch-size", "none"), 2, "a whole number from 1 to 1024, or auto"),
        (("in", "--threads", "all"), 2, "a whole number from 1 to 1024, or auto"),
        (("in", "--device", "gpu"), 2, "--device: 'gpu'"),
        (("in", "--device", "cuda"), 1, "sees no CUDA device"),
        (("in", "--model", "./nowhere"), 1, "is not there"),
        (("in", "--model", "other"), 1, "config.json is missing"),
        (("in", "--max-new-tokens", "99999"), 2, "has positions for"),
        (("in", "--attention", "flash_attention_2"), 1, "flash-attn is not installed"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_request_that_makes_no_sense_is_refused_before_anything_is_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("in/1.png", "in/deep/1.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16)).save(name)
    Path("empty").mkdir()
    Path("other").mkdir()
    Path("other/notes.txt").write_text("mine")
    before = sorted(map(str, Path().rglob("*")))
    if "--model" not in arguments:
        arguments = (*arguments, "--model", "shapes")
    if "--output" not in arguments:
        arguments = (*arguments, "--output", "out")
    result = command("run", *arguments)
    assert result.code == code
    assert message in " ".join(result.err.split())
    assert sorted(map(str, Path().rglob("*"))) == before


def test_an_output_that_cannot_be_made_is_refused_in_one_line(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "1.png")
    result = annotate(tmp_path, "/proc/nowhere/out")
    assert result.code == 1
    assert result.err.splitlines()[-1].startswith("error: can't write")


def test_two_runs_into_one_output_are_refused(scenes: Path, tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from florence_annotate.journal import lock\n"
        f"with lock.held(pathlib.Path({str(tmp_path / 'out')!r})):\n"
        "    print(flush=True); sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    result = annotate(scenes, tmp_path / "out")
    assert result.code == 1
    assert f"process {holder.pid} on " in result.err
    assert "loading" not in result.err  # not even the model
    holder.communicate()
    assert not (tmp_path / "out").exists()  # nothing was written to it


def test_a_broken_checkpoint_costs_neither_the_job_nor_its_place(
    scenes: Path, tmp_path: Path
) -> None:
    from florence_annotate.shapes import CHECKPOINT

    broken = Path(shutil.copytree(CHECKPOINT, tmp_path / "broken"))
    (broken / "tokenizer.json").unlink()
    source, out = some(scenes, tmp_path / "in", 2), tmp_path / "out"
    assert annotate(source, out, "--model", broken).code == 1
    assert not out.exists()
    assert annotate(source, out).code == 0
    assert annotate(source, out, "--model", broken, "--restart").code == 1
    assert command("status", out, "--json").json["annotated"] == 2


def test_a_moved_source_goes_on_without_asking_again(scenes: Path, tmp_path: Path) -> None:
    source, out = some(scenes, tmp_path / "in", 2), tmp_path / "out"
    assert annotate(source, out, "-q").code == 0
    moved = source.rename(tmp_path / "elsewhere")
    result = annotate(moved, out, "--json")
    assert (result.json["run"]["annotated"], result.json["images"]["annotated"]) == (0, 2)


def test_more_classes_than_one_prompt_holds_are_refused(scenes: Path, tmp_path: Path) -> None:
    names = ",".join(f"class number {i} of very many" for i in range(300))
    result = annotate(scenes, tmp_path / "out", "--classes", names, "--strategy", "grounding")
    assert result.code == 2
    assert "tokens long" in result.err
    assert not (tmp_path / "out").exists()


def test_a_dry_run_counts_what_a_run_would_read(scenes: Path, tmp_path: Path) -> None:
    source, out = some(scenes, tmp_path / "in", 3), tmp_path / "out"
    (source / "broken.jpg").write_bytes(b"nothing")
    annotate(source, out, "--limit", 2)

    def pending(*options: object) -> int:
        return int(annotate(source, out, "--dry-run", "--json", *options).json["pending"])

    assert (pending(), pending("--retry-failed"), pending("--restart")) == (2, 3, 4)
    assert annotate(source, out, "--dry-run", "--num-beams", 2).code == 1


def test_a_folder_whose_own_name_is_no_utf8_is_annotated(scenes: Path, tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    some(scenes, Path(name), 2)
    assert annotate(name, name + "-out", "-q").code == 0
    assert command("resume", name + "-out", "-q").code == 0


def test_tasks_and_doctor_say_what_there_is() -> None:
    assert "<OPEN_VOCABULARY_DETECTION>" in command("tasks").out
    assert len(command("tasks", "--json").json) == 15
    examined = command("doctor", "--json").json
    assert "torch" in examined["versions"]
    assert examined["checkpoints"]["shapes"].startswith("found in")
    assert examined["checkpoints"]["base-ft"].startswith(("not here yet", "found"))


def test_the_version_is_the_packages() -> None:
    from importlib.metadata import version

    assert command("--version").out.strip() == f"florence-annotate {version('florence-annotate')}"


def test_a_misspelt_source_is_said_to_be_missing_also_without_an_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = command("run", "imagse", "--model", "shapes")
    assert (result.code, result.out) == (1, "")
    assert "the source 'imagse' is not there: check the spelling" in result.err


def test_a_name_that_is_no_label_is_said_at_once_with_what_may_be_meant(
    scenes: Path, tmp_path: Path
) -> None:
    out, options = tmp_path / "out", ("--limit", 3, "--strategy", "od")
    result = annotate(scenes, out, *options, "--classes", "elipse,star,unicorn")
    assert result.code == 0, result.err
    assert "not known to say elipse: did you mean ellipse?" in result.err
    assert "not known to say unicorn: it may find none" in result.err
    assert "known to say star" not in result.err
    assert "nothing was found of: elipse (ellipse was said), unicorn" in result.out
    exported = command("export", out, "--classes", "elipse,star", "--json")
    assert exported.json["classes_without_instances"] == {"elipse": "ellipse"}


def test_failed_images_are_no_matter_of_the_exit_code_of_an_export(
    scenes: Path, tmp_path: Path
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    shutil.copy(next(scenes.glob("*.jpg")), source)
    (source / "broken.jpg").write_bytes(b"none")
    assert annotate(source, out, "-q").code == 3
    assert command("resume", out, "-q").code == 3
    exported = command("export", out, "--json")
    assert (exported.code, exported.json["images"]["failed"]) == (0, 1)


def test_what_is_said_about_an_image_that_is_too_large_reads_it(
    scenes: Path, tmp_path: Path
) -> None:
    source, out = some(scenes, tmp_path / "in", 3), tmp_path / "out"
    assert annotate(source, out, "--max-pixels", 1000).code == 3
    failures = command("failures", out, "--json").json
    assert {one["kind"] for one in failures} == {"too-large"} and len(failures) == 3
    said = command("failures", out).out
    pixels = re.findall(r"--retry-failed --max-pixels (\d+)", said)
    largest = max(pixels, key=int)
    assert command("resume", out, "--retry-failed", "--max-pixels", largest, "-q").code == 0
    assert command("failures", out, "--json").json == []

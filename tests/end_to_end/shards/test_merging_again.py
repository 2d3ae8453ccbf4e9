"""A merged job takes over what its parts have got since."""

import shutil
from pathlib import Path

from conftest import annotate, command, rows
from PIL import Image
from sharded_jobs import annotate_shards, settled_in
from written_answers import picture


def test_merged_again_a_job_takes_over_what_its_parts_have_got(
    scenes: Path, tmp_path: Path
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    shutil.copytree(scenes, source)
    images = sorted(source.glob("*.jpg"))
    broken, gone, changed = images[3], images[4], images[5]
    content = broken.read_bytes()
    broken.write_bytes(content[:500])
    outs = annotate_shards(source, tmp_path)
    assert command("merge", *outs, "-o", out, "-q").code == 3
    before = {key: settled for key, *settled in settled_in(out)}
    assert broken.name not in before
    assert command("merge", *outs, "-o", out, "-q").code == 3  # nothing is new
    assert {key: settled for key, *settled in settled_in(out)} == before

    broken.write_bytes(content)
    gone.unlink()
    Image.new("RGB", (64, 64), "white").save(changed)
    picture(source / "aa.png")
    for index, shard in enumerate(outs, start=1):
        options = ("--shard", f"{index}/3", "--retry-failed", "-q")
        assert annotate(source, shard, *options).code == 0
    done = command("merge", *outs, "-o", out, "--format", "yolo,coco,jsonl")
    assert done.code == 0, done.err
    assert (
        "1 annotated image leaves the dataset: none of the merged jobs has it any more" in done.err
    )
    after = {key: settled for key, *settled in settled_in(out)}
    assert {key: after[key] for key in before} == before
    assert sorted(after[key][0] for key in after.keys() - before.keys()) == [20, 21]
    found = {row["image"]["key"] if "image" in row else row["key"]: row for row in rows(out)}
    assert gone.name not in found and {broken.name, "aa.png"} <= found.keys()
    counts = command("status", out, "--json").json
    assert (counts["images"], counts["annotated"], counts["failed"]) == (20, 20, 0)


def test_more_parts_may_join_and_none_may_be_forgotten(shards: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = command("merge", *shards[:2], "-o", out)
    assert done.code == 1 and "of 3 shards 1 is not named: 3/3." in done.err
    assert not out.exists()
    assert command("merge", *shards[:2], "-o", out, "--allow-missing", "-q").code == 0
    before = settled_in(out)
    assert command("merge", *shards, "-o", out, "-q").code == 0
    after = settled_in(out)
    assert len(after) == 20 and set(before) < set(after)
    done = command("merge", shards[2], "-o", out)
    assert done.code == 1 and f"{out} was merged of {shards[0]} too" in done.err
    assert command("merge", shards[2], "-o", out, "--allow-missing", "-q").code == 0
    assert settled_in(out) == after
    assert command("status", out, "--json").json["images"] == 20


def test_a_merged_job_that_chose_its_images_by_itself_keeps_them(
    scenes: Path, tmp_path: Path
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    shutil.copytree(scenes, source)
    outs = annotate_shards(source, tmp_path)
    assert command("merge", *outs, "-o", out, "-q").code == 0
    left = sorted(source.glob("*.jpg"))[0]
    assert annotate(source, out, "--exclude", left.name, "-q").code == 0
    for _ in range(2):
        assert command("merge", *outs, "-o", out, "-q").code == 0
        assert command("status", out, "--json").json["images"] == 19

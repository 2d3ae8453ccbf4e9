"""Jobs that can't be merged, and outputs that can't be, are refused by name."""

import shutil
from pathlib import Path

import pytest
from conftest import annotate, command
from older_schemas import forget_spreads
from sharded_jobs import is_same_job
from written_answers import picture

from florence_annotate.journal import Journal


def test_jobs_that_were_not_asked_alike_are_refused_by_name(
    shards: list[Path], scenes: Path, tmp_path: Path
) -> None:
    for number, (options, said) in enumerate(
        [
            (("--max-new-tokens", 64), "max_new_tokens"),
            (("--task", "caption"), "questions"),
            (("--dtype", "bfloat16"), "dtype"),
            (("--pixels", "fast"), "pixels"),
            (("--tiles", "2x1"), "tiles"),
        ]
    ):
        other = tmp_path / str(number)
        assert annotate(scenes, other, "--shard", "3/3", "--limit", 1, "-q", *options).code == 0
        done = command("merge", *shards[:2], other, "-o", tmp_path / "out")
        assert done.code == 1
        assert f"{shards[0]} was begun with {said} = " in done.err and str(other) in done.err
        assert "can't be merged" in done.err
        assert not (tmp_path / "out").exists()


def test_a_shard_that_was_stopped_before_it_was_done_is_refused(
    copied: list[Path], whole: Path, scenes: Path, tmp_path: Path
) -> None:
    with Journal.open_to_write(copied[1]) as journal:
        for table in ("answers", "attempts"):
            journal.connection.execute(f"DELETE FROM {table}")
    done = command("merge", *copied, "-o", tmp_path / "out")
    assert done.code == 1 and f"{copied[1]} is not done, " in done.err
    assert f"'florence-annotate resume {copied[1]}'" in done.err and "--allow-missing" in done.err
    assert not (tmp_path / "out").exists()
    some = command("merge", *copied, "-o", tmp_path / "some", "--allow-missing", "--json")
    assert some.code == 0 and some.json["images"]["pending"] > 0
    assert command("resume", copied[1], "-q").code == 0
    assert command("merge", *copied, "-o", tmp_path / "out", "-q").code == 0
    is_same_job(tmp_path / "out", whole)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--classes", "a,a"), "in the class list twice"),
        (("--min-score", "3"), "--min-score"),
        (("--split", "train=5,val=x"), "--split"),
        (("--format", "coco-captions"), "coco-captions"),
    ],
)
def test_what_the_dataset_could_not_be_is_refused_before_anything_is_read(
    shards: list[Path], tmp_path: Path, given: tuple[str, str], said: str
) -> None:
    done = command("merge", *shards, "-o", tmp_path / "out", *given)
    assert done.code == 2 and said in done.err and "1 of 3" not in done.err, done
    assert not (tmp_path / "out").exists()


def test_another_definition_of_the_score_is_refused_by_name(
    copied: list[Path], tmp_path: Path
) -> None:
    forget_spreads(copied[2] / "job.db")
    done = command("merge", *copied, "-o", tmp_path / "out")
    assert done.code == 1 and "the definition of the score" in done.err
    assert str(copied[0]) in done.err and str(copied[2]) in done.err


def test_answers_that_another_version_decoded_otherwise_are_refused_by_name(
    copied: list[Path], tmp_path: Path
) -> None:
    with Journal.open_to_write(copied[1]) as journal:
        journal.set_value("decoded_otherwise", 1)
    done = command("merge", *copied, "-o", tmp_path / "out")
    assert done.code == 1 and f"images of {copied[1]} were asked by an earlier version" in done.err


def test_policies_that_differ_are_refused_until_one_is_named(
    copied: list[Path], scenes: Path, tmp_path: Path
) -> None:
    assert annotate(scenes, copied[1], "--shard", "2/3", "--min-score", "0.6", "-q").code == 0
    refused = command("merge", *copied, "-o", tmp_path / "out")
    assert refused.code == 2
    assert (
        f"the policies of {copied[0]} and {copied[1]} differ (min_score 0.0 → 0.6)" in refused.err
    )
    assert not (tmp_path / "out").exists()

    def merged(*options: object) -> str:
        out = tmp_path / f"out-{len(list(tmp_path.iterdir()))}"
        done = command("merge", *copied, "-o", out, "-q", *options)
        assert done.code == 0, done.err
        again = command("merge", *copied, "-o", out, "-q", *options)  # the same command goes on
        assert again.code == 0, again.err
        (line,) = (
            line
            for line in (out / "policy.yaml").read_text().splitlines()
            if line.startswith("min_score")
        )
        return line

    assert merged("--policy", copied[1]) == "min_score: 0.6"
    assert merged("--policy", copied[0]) == "min_score: 0.0"
    assert merged("--min-score", "0.3") == "min_score: 0.3"
    (tmp_path / "own.yaml").write_text("min_score: 0.2\n")
    assert merged("--policy", tmp_path / "own.yaml") == "min_score: 0.2"
    done = command("merge", *copied, "-o", tmp_path / "x", "--policy", tmp_path / "nothing")
    assert done.code == 2 and "there is no file or folder" in done.err


def test_a_policy_that_was_settled_stays(copied: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert command("merge", *copied, "-o", out, "-q").code == 0
    (tmp_path / "own.yaml").write_text("min_score: 0.2\n")
    done = command("merge", *copied, "-o", out, "--policy", tmp_path / "own.yaml")
    assert done.code == 2
    assert f"{out} has a policy of its own by now (min_score 0.0 → 0.2)" in done.err


def test_sources_that_would_share_keys_are_refused_by_name(scenes: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        picture(tmp_path / name / "1.png", (50 + ord(name), 60))
        assert annotate(tmp_path / name, tmp_path / f"{name}-out", "-q").code == 0
    done = command("merge", tmp_path / "a-out", tmp_path / "b-out", "-o", tmp_path / "out")
    assert done.code == 1
    assert f"{tmp_path / 'a-out'} counts its images from {tmp_path / 'a'}" in done.err
    assert f"{tmp_path / 'b-out'} from {tmp_path / 'b'}" in done.err
    both = ("run", tmp_path / "a", tmp_path / "b", "-o", tmp_path / "both", "--model", "shapes")
    assert command(*both, "--workers", 0, "-q").code == 0
    done = command("merge", tmp_path / "a-out", tmp_path / "both", "-o", tmp_path / "out")
    assert done.code == 1 and "keys that begin with ''" in done.err and "'a/'" in done.err


def test_shards_of_a_source_that_lay_elsewhere_are_merged_where_it_is(
    scenes: Path, whole: Path, tmp_path: Path
) -> None:
    """Each task of an array may have mounted it where it liked."""
    outs = []
    for index in (1, 2, 3):
        shutil.copytree(scenes, tmp_path / str(index) / "scenes")
        outs.append(tmp_path / f"out-{index}")
        source = tmp_path / str(index) / "scenes"
        assert annotate(source, outs[-1], "--shard", f"{index}/3", "-q").code == 0
    done = command("merge", *outs, "-o", tmp_path / "out")
    assert done.code == 1 and "one key would stand for two images" in done.err
    shutil.rmtree(tmp_path / "1")
    shutil.rmtree(tmp_path / "3")
    done = command("merge", *outs, "-o", tmp_path / "out", "-q")
    assert done.code == 0, done.err
    is_same_job(tmp_path / "out", whole)
    resumed = command("resume", tmp_path / "out", "--json")
    assert (resumed.code, resumed.json["run"]["annotated"]) == (0, 0), resumed.err

    shutil.move(tmp_path / "2" / "scenes", tmp_path / "here")  # none of them had it there
    done = command("merge", *outs, "-o", tmp_path / "nowhere")
    assert done.code == 1 and "run the job on their new folder" in done.err
    assert annotate(tmp_path / "here", tmp_path / "nowhere", "-q").code == 0
    is_same_job(tmp_path / "nowhere", whole)
    again = command("merge", *outs, "-o", tmp_path / "nowhere", "-q")  # a part of it, moved since
    assert again.code == 0, again.err
    is_same_job(tmp_path / "nowhere", whole)


def test_outputs_that_can_not_be_are_refused(
    copied: list[Path], whole: Path, tmp_path: Path
) -> None:
    for out, said in (
        (copied[0], "are one folder or lie in each other"),
        (copied[0] / "within", "are one folder or lie in each other"),
        (tmp_path, "are one folder or lie in each other"),
    ):
        done = command("merge", *copied, "-o", out)
        assert done.code == 2 and said in done.err
    own = shutil.copytree(whole, tmp_path / "own")
    done = command("merge", *copied, "-o", own)
    assert done.code == 1 and f"{own} holds a job that was not merged" in done.err
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    done = command("merge", *copied, "-o", tmp_path / "full")
    assert done.code == 2 and "holds other files and no job" in done.err
    done = command("merge", *copied, tmp_path / "nothing", "-o", tmp_path / "out")
    assert done.code == 1 and f"{tmp_path / 'nothing'} holds no job" in done.err
    assert not (tmp_path / "out").exists()
    assert command("merge", *copied).code == 2


def test_a_link_in_the_place_of_what_is_written_is_not_followed(
    copied: list[Path], tmp_path: Path
) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    for folder in (out, elsewhere):
        folder.mkdir()
    (elsewhere / "letter.txt").write_text("dear")
    (out / ".merging").symlink_to(elsewhere)
    done = command("merge", *copied, "-o", out)
    assert done.code == 1 and "can't write" in done.err
    assert [path.name for path in elsewhere.iterdir()] == ["letter.txt"]

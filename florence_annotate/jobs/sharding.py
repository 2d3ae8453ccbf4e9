"""A job that is one shard of several: it keeps to its part, and waits to be merged."""

from pathlib import Path

from florence_annotate.config.gate_settings import GateSettings
from florence_annotate.config.job_spec import JobSpec, flag_of
from florence_annotate.errors import JobError, UsageError
from florence_annotate.images.keys import in_shell
from florence_annotate.images.shards import Shard
from florence_annotate.journal import Journal

_SHARD = "shard"
"""The value of a job that names its part, as `--shard` does; none of a job that has all images."""


def of(journal: Journal) -> Shard | None:
    """The part of its images that a job has; None where it has all."""
    named = journal.value(_SHARD)
    with journal.reading("which shard it is"):
        return None if named is None else Shard.parse(named)


def bind(journal: Journal, spec: JobSpec) -> None:
    """Make a job the shard that a specification names, or none."""
    journal.set_value(_SHARD, spec.shard)


def refuse_other(journal: Journal, spec: JobSpec) -> None:
    """Raise JobError where a run of a job has another part of the images than it was begun with."""
    begun, now = of(journal), spec.part()
    if begun == now:
        return
    was = f"with --shard {begun}" if begun else "without --shard"
    given = f"--shard {now} is given" if now else "none is given"
    go_on = f"give --shard {begun}" if begun else "leave it out"
    raise JobError(
        f"{journal.path.parent} was begun {was}, and now {given}: {go_on} to go on, choose another "
        "output with -o, or begin again with --restart"
    )


def refuse_dataset(journal: Journal, spec: JobSpec) -> None:
    """Raise JobError where a shard would begin anew in a folder that a dataset was exported to."""
    if spec.shard is not None and journal.exports.policy_of_files() is not None:
        raise JobError(
            f"{journal.path.parent} holds a dataset, and a shard writes none: choose another "
            "output with -o"
        )


def refuse_gates(spec: JobSpec) -> None:
    """Raise UsageError for a gate that a shard is given: it writes no dataset to be judged."""
    given = sorted(spec.by_flag & set(GateSettings.model_fields))
    if spec.shard is not None and given:
        raise UsageError(
            f"{flag_of(given[0])}: a shard writes no dataset that could miss it: give it to "
            "'florence-annotate merge'"
        )


def refuse_export(journal: Journal) -> None:
    """Raise JobError for a shard: the numbers and splits of its images are not its own to give."""
    if (shard := of(journal)) is not None:
        raise JobError(
            f"{journal.path.parent} is shard {shard} of a job, and its images get their ids and "
            f"splits with all others: {merge_command(journal.path.parent, shard)}"
        )


def merge_command(out: Path, shard: Shard) -> str:
    """The command that makes a dataset of a shard and its siblings, as far as their names tell."""
    end = f"-{shard.index}-of-{shard.count}"
    name = str(out).removesuffix(end)
    if name == str(out):
        return "florence-annotate merge SHARD... -o OUT"
    quoted = in_shell(name)
    return f"florence-annotate merge {quoted}-*-of-{shard.count} -o {quoted}"

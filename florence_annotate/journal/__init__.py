"""The journal: what the model said about each image, append-only, in one SQLite file.

`job.db` alone is always complete, also when it is copied while a job runs: the rollback journal is
truncated at each commit and every commit is flushed to the disk. Only what is committed is done.
What attempts found is never changed; what an image is, the latest of its attempts says.
"""

from florence_annotate.journal.assignments import Assigned
from florence_annotate.journal.class_ids import has_other_ids
from florence_annotate.journal.exports import Made
from florence_annotate.journal.files import Exported, Placed
from florence_annotate.journal.job_file import FILE_NAME, exists, holds_journal
from florence_annotate.journal.journal import Counts, Journal
from florence_annotate.journal.merging import refuse_unmerged
from florence_annotate.journal.planned import Change, MadeOf, Planned, PlannedFile
from florence_annotate.journal.schema import LINK
from florence_annotate.journal.texts import Texts

__all__ = [
    "FILE_NAME",
    "LINK",
    "Assigned",
    "Change",
    "Counts",
    "Exported",
    "Journal",
    "Made",
    "MadeOf",
    "Placed",
    "Planned",
    "PlannedFile",
    "Texts",
    "exists",
    "has_other_ids",
    "holds_journal",
    "refuse_unmerged",
]

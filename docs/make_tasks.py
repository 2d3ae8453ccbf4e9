"""Writes docs/tasks.md from `florence_annotate.tasks`, with an image that each task rendered.

python docs/make_tasks.py
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from florence_annotate.config.job_spec import JobSpec
from florence_annotate.formats import registry
from florence_annotate.questions.recipes import RecipeName
from florence_annotate.questions.request import finds_classes
from florence_annotate.shapes.demo import write_demo
from florence_annotate.shapes.scenes import paint
from florence_annotate.tasks import TASKS, Takes, Task
from florence_annotate.types import Question
from training.captions import caption
from training.truth import truth_of

DOCS = Path(__file__).parent
IMAGES = DOCS / "images"
SEED = 2_000_043

OPTIONS = {
    Takes.NOTHING: "",
    Takes.TEXT: "`--text`, `--texts`",
    Takes.REGION: "`--regions`",
}

INTRODUCTION = """\
# Tasks

The 15 tasks of Florence-2, each a `--task` of `run` and a `task=` of `florence_annotate.annotate`.
The table is written by `python docs/make_tasks.py` from `florence_annotate/tasks.py`; its images
were annotated and rendered by the same script with the embedded checkpoint.

- `--classes A,B,…` finds classes; each is a prompt, or part of one (`--strategy`).
- `--text "a red star"` is one phrase or caption for all images. `--texts FILE.csv` has the
  columns `image` (the image's path, or the end of its path in the source) and `text`;
  `--texts sidecar` reads the `.txt` beside each image. An image without a text, or without
  regions where these are given, is asked nothing, so the dataset leaves it out, and the summary
  counts it; a text that comes later counts with `--restart`.
- `--regions FILE` is a COCO file or a YOLO folder with boxes that exist already. They stay as they
  are, and so do their labels, unless the task gives one; at the image's edge they are clipped.
  Their class ids are by name, as without a class list; `--classes-file data.yaml` keeps yours.

| task | token | prompt | options | gives | formats by default | image |
| --- | --- | --- | --- | --- | --- | --- |
"""


def row(task: Task) -> str:
    takes = OPTIONS[task.takes]
    if finds_classes(task):
        takes = ", ".join(filter(None, ["`--classes`", takes]))
    usual = ", ".join(registry.settle(JobSpec(), [Question(task.token)]))
    cells = [task.name, f"`{task.token}`", task.prompt, takes, str(task.gives), usual]
    return f"| {' | '.join([*cells, thumbnail(task.name)])} |"


def thumbnail(name: str) -> str:
    file = f"images/{name}.jpg"
    return f'<a href="{file}"><img src="{file}" width="160" alt="what {name} gives"></a>'


SEVERAL = """
## Several tasks in one run

`--task caption,more-detailed-caption` asks several tasks about an image that is encoded once. One
of them may point at things, and it is the one that `--classes`, `--text`, `--recipe` and `--tiles`
are about; the others are texts about the whole image: the captions, `ocr`, or a prompt that gives
text. Each caption goes by the name of its task: as `task` in COCO captions and JSON Lines, as a
column in Parquet and image folders, as a text area in Label Studio.

## A prompt of your own

Fine-tuned checkpoints answer prompts that Florence-2 never had. `--prompt TEXT` asks one of them,
and `--gives` says how its answers are read:

```
run ./images --model MiaoshouAI/Florence-2-base-PromptGen-v2.0 --prompt "<MIXED_CAPTION>"
run ./images --model ./my-docvqa --prompt "<DocVQA>What is the total?" --format jsonl
run ./images --model ./my-detector --prompt "<FIND_DEFECTS>" --gives boxes --classes scratch,dent
```

| `--gives` | what the answer holds |
| --- | --- |
| `text` (the default) | a text about the whole image, a caption by the name of `prompt` |
| `boxes` | labels as the model writes them, each before its boxes; `object` where it writes none |
| `polygons` | the same with outlines |
| `quads` | printed words and the four points around each |

The prompt goes to the model as it is: nothing is put for a task token in it, and control tokens,
which texts and class names may not hold, are the model's to read. It belongs to the job as every
question does. `--task` may stand beside it, as `--prompt "<GENERATE_TAGS>" --task
more-detailed-caption`; classes are laid over its labels as over those of `<OD>`.
"""

RECIPES = """
## Recipes

A recipe asks several questions about an image that is encoded once. Its boxes are found by any
strategy, and its caption is the one that `--task` chooses.

| `--recipe` | asks | gives | image |
| --- | --- | --- | --- |
"""


def recipe_row(recipe: RecipeName) -> str:
    return f"| {recipe} | {recipe.asks} | {recipe.gives} | {thumbnail(recipe)} |"


RULES = """
Follow-up questions are asked about at most 100 boxes an image. What `verify` does: a prompt for
one class always points somewhere, also where there is none of it. So a class that was asked by name
stays on an image only where `<OD>` says it too, or two of three descriptions name it: a caption, a
longer one, and the captions of regions (dense captions). A grounding prompt is no witness: it is
given the names, and errs as a prompt for one class does. The rest is dropped as `absent`, and what
only dense captions point at as `witness`; `export --no-presence` brings the former back.
`--presence` is short for `--recipe verify`.

### A recipe of your own

A recipe is a class with two methods: what to ask first, and what follows from the answers. This one
asks what is printed on each thing that was found:

```python
from collections.abc import Sequence
from dataclasses import dataclass

from florence_annotate.answers import reading
from florence_annotate.questions.asking import about_region
from florence_annotate.types import Picture, Question, Record


@dataclass(frozen=True, slots=True)
class ReadEachBox:
    def first(self, picture: Picture) -> Sequence[Question]:
        return (Question("<OD>"),)

    def then(self, record: Record) -> Sequence[Question]:
        if any(answer.question.task == "<REGION_TO_OCR>" for answer in record.answers):
            return ()
        boxes = [instance.box for instance in reading.read(record).instances]
        size = record.width, record.height
        return [about_region("<REGION_TO_OCR>", box, *size) for box in boxes]
```

A recipe asks, and does not say how its answers are read: an answer about a region belongs to the
instance with that box. To give it a name for `--recipe`, add it to `RecipeName` in
`florence_annotate/questions/recipes.py`.

## Tiles

`--tiles 2x2` (columns and rows) or `--tiles 768` (the side of a tile in pixels) cuts large images
in overlapping tiles, which are encoded beside the whole image in the same batches. Every question
about places is asked of the whole and of each tile, a follow-up about a box of the tile that holds
it, a text of the whole.

Two views show one thing where they agree about what both can see: boxes of one label that overlap
there by half become one, that of a view which sees it whole rather than one that an edge cuts, and
that of a tile rather than the coarser one of the whole image. What one view tells apart stays
apart. What an edge cuts and another view sees whole goes, by whatever name it was called; of two
names for one place the surer stays, where the model chose them. `--overlap 0.2` is the part of a
tile that its neighbour sees too: things larger than that may be cut in every tile, and are then put
together. A tile is asked as if it were an image, so on images whose things the whole shows well
tiles mostly add mistakes: they are for large images with small things.
"""


def text() -> str:
    """The whole page."""
    table = "\n".join(map(row, TASKS))
    recipes = "\n".join(map(recipe_row, RecipeName))
    return f"{INTRODUCTION}{table}\n{SEVERAL}{RECIPES}{recipes}\n{RULES}"


def options(name: str, truth: Path) -> list[str]:
    """Of the run that renders a task or a recipe."""
    said = caption(truth_of(paint(SEED)).objects)
    if name in map(str, RecipeName):
        classes = ["--classes", "red triangle,blue star,yellow cross"]
        by_name = [*classes, "--strategy", "open-vocabulary"]
        return ["--recipe", name, *(by_name if name == RecipeName.VERIFY else [])]
    task = next(task for task in TASKS if task.name == name)
    if task.name == "region-to-ocr":
        truth = write_word_regions(truth.with_name("words.json"))
    if task.takes is Takes.REGION:
        return ["--task", name, "--regions", str(truth)]
    if task.name == "grounding":
        return ["--task", name, "--text", said]
    if task.takes is Takes.TEXT:
        return ["--task", name, "--classes", "ellipse,rectangle,triangle,star,cross"]
    return ["--task", name]


def write_word_regions(file: Path) -> Path:
    """The boxes of the printed words, as a COCO file."""
    quads = [word.quad for word in paint(SEED).words]
    boxes = [(q[0], q[1], q[4] - q[0], q[5] - q[1]) for q in quads]
    annotations = [{"image_id": 1, "category_id": 1, "bbox": box} for box in boxes]
    images = [{"id": 1, "file_name": f"scene-{SEED}.jpg"}]
    categories = [{"id": 1, "name": "text"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    file.write_text(json.dumps(content))
    return file


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        scenes = Path(folder) / "in"
        write_demo(scenes, 1, SEED)
        for name in [*(task.name for task in TASKS), *map(str, RecipeName)]:
            out = Path(folder) / name
            command = ["run", scenes, "-o", out, "--model", "shapes", "--visuals", "--quiet"]
            given = [*command, *options(name, scenes / "ground-truth.json")]
            subprocess.run(
                [sys.executable, "-m", "florence_annotate", *map(str, given)], check=True
            )
            (drawn,) = (out / "visuals").rglob("*.jpg")
            shutil.copy(drawn, IMAGES / f"{name}.jpg")
    (DOCS / "tasks.md").write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()

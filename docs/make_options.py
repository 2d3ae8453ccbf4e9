"""Write docs/options.md from the declarations of the settings.

python docs/make_options.py
"""

from pathlib import Path

from florence_annotate.cli.flags import default_of, help_of, metavar_of, types_of
from florence_annotate.config.job_spec import OPTIONS, flag_of
from florence_annotate.declaration import Binds, Panel

HEAD = """# Options

Every setting of a job, as `run` takes it; a YAML file for `--config` has the same names without the
dashes. `export` takes those of the dataset, `resume` `--device`, `--batch-size` and `--threads`.
This page is written by `python docs/make_options.py` from the declarations in
`florence_annotate/config` and `florence_annotate/policy`.

A setting that **binds** would change what the model says: another run of the job goes on with the
value that it was begun with, and is refused where you give another one. What is bound "for each
kind of task" may differ between tasks with locations and tasks with text. What is asked stays too
(tasks, prompt, texts, regions, recipe, tiles, and classes that are asked by name): other questions
need another output. Everything else may change from run to run.
"""


def text() -> str:
    return "\n".join([HEAD, *(line for panel in Panel for line in _panel(panel))])


def _panel(panel: Panel) -> list[str]:
    names = [name for name in OPTIONS if OPTIONS[name].panel is panel]
    head = [
        "| option | values | default | binds | what it does |",
        "| --- | --- | --- | --- | --- |",
    ]
    return [f"## {panel}", "", *head, *map(_row, names), ""]


def _row(name: str) -> str:
    option, default = OPTIONS[name], default_of(name)
    flag = flag_of(name)
    if bool in types_of(name):
        values = "" if option.flag else f"`--no-{flag.removeprefix('--')}`"
    else:
        values = f"`{(metavar_of(name) or 'TEXT').replace('|', chr(92) + '|')}`"
    binds = "" if option.binds is Binds.NOT else option.binds.value
    about = help_of(name).removesuffix(f" [default: {default}]")
    return f"| `{flag}` | {values} | {default} | {binds} | {about} |"


if __name__ == "__main__":
    (Path(__file__).parent / "options.md").write_text(text(), encoding="utf-8")

"""Write docs/options.md from the declarations of the settings.

python docs/make_options.py
"""

from pathlib import Path

import typer

from florence_annotate.cli.app import app
from florence_annotate.cli.flags import default_of, help_of, metavar_of
from florence_annotate.config.job_spec import OPTIONS, JobSpec, flag_of
from florence_annotate.config.wording import types_of
from florence_annotate.declaration import Binds, Panel

HEAD = """# Options

Every setting of a job, as `run` takes it. A YAML file for `--config` has the same names without the
two dashes; flags beat it, and its relative paths (`classes-file`, `texts`, `regions`, folders of
`model` and `adapter`) begin where the file lies. `export` takes the settings of the dataset, the
gates and, to choose among the job's images, `--include`, `--exclude` and `--labelled-only`; `merge`
takes the settings of the dataset and the gates; `resume` takes `--device`, `--engine` with
`--gpus`, `--actors` and `--address`, `--batch-size` and
`--threads`. What the commands take beside settings stands at the end. This page is written by
`python docs/make_options.py` from the declarations in `florence_annotate/config`,
`florence_annotate/policy` and `florence_annotate/cli`.

A setting that **binds** would change what the model says: another run of the job goes on with the
value that it was begun with, and is refused where you give another one. What is bound "for each
kind of task" may differ between tasks with locations and tasks with text. What is asked stays too
(tasks, prompt, texts, regions, recipe, tiles, and classes that are asked by name): other questions
need another output. Everything else may change from run to run.
"""


def text() -> str:
    panels = [line for panel in Panel for line in _panel(panel)]
    return "\n".join([HEAD, *panels, *_beside_settings()])


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
    if bool in types_of(JobSpec.model_fields[name]):
        values = "" if option.flag else f"`--no-{flag.removeprefix('--')}`"
    else:
        values = _in_table(metavar_of(name))
    binds = "" if option.binds is Binds.NOT else option.binds.value
    about = help_of(name).removesuffix(f" [default: {default}]")
    return f"| `{flag}` | {values} | {default} | {binds} | {about} |"


def _in_table(value: str) -> str:
    return f"`{value.replace('|', chr(92) + '|')}`"


def _beside_settings() -> list[str]:
    """What is no setting: it counts for the command that it is given to, and is not kept."""
    of_settings = {help_of(name) for name in OPTIONS}
    of_settings |= {option.help_of_resume for option in OPTIONS.values()}
    commands_of: dict[tuple[str, str, str], list[str]] = {}
    for command, declared in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        for each in declared.params:
            if each.param_type_name == "option" and each.help not in of_settings:
                flags = ", ".join(f"`{flag}`" for flag in each.opts)
                values = "" if each.is_flag else _in_table(each.metavar)
                commands_of.setdefault((flags, values, each.help), []).append(f"`{command}`")
    return [
        "## Of the commands",
        "",
        "| option | values | taken by | what it does |",
        "| --- | --- | --- | --- |",
        *(
            f"| {flags} | {values} | {', '.join(commands)} | {about} |"
            for (flags, values, about), commands in commands_of.items()
        ),
        "",
    ]


if __name__ == "__main__":
    (Path(__file__).parent / "options.md").write_text(text(), encoding="utf-8")

"""`florence-annotate export`."""

from florence_annotate.cli import options, screen


def export(
    out: options.Out,
    classes: options.Classes = None,
    classes_file: options.ClassesFile = None,
    formats: options.Formats = None,
    visuals: options.Visuals = None,
    visuals_limit: options.VisualsLimit = None,
    images: options.Images = None,
    split: options.Split = None,
    seed: options.Seed = None,
    min_score: options.MinScore = None,
    nms: options.Nms = None,
    min_area: options.MinArea = None,
    presence: options.Presence = None,
    push_to_hub: options.PushToHub = None,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Write a job's dataset again: other formats, thresholds or splits, without the model.

    What is not given stays as in the last run. A job that is not finished is exported as far as it
    is done.
    """
    given = locals()
    from florence_annotate import config, exporting, lock, publishing
    from florence_annotate.formats import settle
    from florence_annotate.journal import Journal

    with Journal.open_existing(out) as journal, lock.held(out):
        settings = {name: given[name] for name in config.FLAGS & given.keys()}
        spec = config.change(exporting.last_spec(journal), settings)
        if push_to_hub:
            names = settle(spec.formats, exporting.questions_of(journal), spec.images)
            publishing.refuse_unpublishable(push_to_hub, names)
        exported = exporting.export(journal, out.absolute(), spec, overwrite=overwrite)
        summary = exporting.summarise(journal, out.absolute(), spec, exported)
        exporting.write_summary(out, summary)
    if as_json:
        screen.print_json(summary)
    elif not quiet:
        screen.show_summary(summary, out)
    if push_to_hub:
        screen.note(f"uploaded to {publishing.push(out.absolute(), push_to_hub, summary)}")

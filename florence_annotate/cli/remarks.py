"""What the summary of a dataset has to say beside its counts, a line each."""

from typing import Any

from florence_annotate.cli import bottleneck
from florence_annotate.formats.holding import LEFT_OVER
from florence_annotate.jobs.leaving import told


def of_run(summary: dict[str, Any]) -> list[str]:
    """What the last run met."""
    found = []
    if left := summary["left_dataset"]:
        found.append(told(left))
    if skipped := summary["run"].get("skipped"):
        some = "; ".join(f"{entry['name']}: {entry['reason']}" for entry in skipped[:3])
        found.append(f"skipped {len(skipped)}: {some}")
    if slow := bottleneck.remark(summary["run"], summary["settings"]):
        found.append(slow)
    return found


def of_dataset(summary: dict[str, Any]) -> list[str]:
    """What needs a look in the dataset, and in the images that are not in it yet."""
    found = []
    if not_asked := summary["images_not_asked"]:
        found.append(
            f"{count(not_asked, 'image')} without a text or a region: nothing was asked, so the "
            "dataset leaves them out (what comes later counts with --restart)"
        )
    if not_included := summary["images_not_included"]:
        found.append(f"{count(not_included, 'image')} left out by --include or --exclude")
    if unlabelled := summary["images_without_labels"]:
        found.append(f"{count(unlabelled, 'image')} without a label left out by --labelled-only")
    if summary["dropped"]:
        reasons = ", ".join(f"{number} {reason}" for reason, number in summary["dropped"].items())
        found.append(f"left out of the dataset, kept in the journal: {reasons}")
    if large := summary["boxes_over_0.9_of_the_image"]:
        said = "1 box covers" if large == 1 else f"{large} boxes cover"
        found.append(f"{said} over 0.9 of the image: --max-area 0.9 leaves such out")
    if pairs := summary["pairs_of_classes_over_0.9_iou"]:
        found.append(
            f"{count(pairs, 'pair')} of boxes of different classes in one place (IoU over 0.9): "
            "--nms-across-classes 0.9 keeps the better"
        )
    if summary["settings"]["classes"] and (without := summary["classes_without_instances"]):
        near = (f"{name} ({label} was said)" if label else name for name, label in without.items())
        found.append(f"nothing was found of: {', '.join(near)}")
    if summary["unmapped_labels"]:
        labels = list(summary["unmapped_labels"].items())
        some = ", ".join(f"{label} ({number})" for label, number in labels[:8])
        more = f" and {len(labels) - 8} more" if len(labels) > 8 else ""
        found.append(f"labels that belong to no class: {some}{more}")
    if summary["truncated"]:
        many = len(summary["truncated"])
        have = "has" if many == 1 else "have"
        found.append(
            f"{count(many, 'image')} {have} an answer cut at the token limit: see summary.json"
        )
    for where, name in (("the dataset", "left_out"), ("YOLO", "yolo_left_out")):
        if left_out := summary[name]:
            some = "; ".join(f"{key}: {reason}" for key, reason in list(left_out.items())[:3])
            more = " …" if len(left_out) > 3 else ""
            are = "is" if len(left_out) == 1 else "are"
            counted = count(len(left_out), "image")
            found.append(f"{counted} {are} not in {where}: {some}{more}")
    if without := summary["instances_without_mask"]:
        found.append(f"{count(without, 'instance')} without a mask: not in YOLO's outlines")
    for split in summary["splits_without_images"]:
        found.append(f"the split {split} has no image, and data.yaml no folder of its own for it")
    for split in summary["splits_without_results"]:
        found.append(
            f"no result in the split {split}: there is no annotations/results_{split}.json, since "
            "pycocotools loads no empty one"
        )
    if copied := summary["images_copied_instead_of_linked"]:
        found.append(f"{count(copied, 'image')} copied, since no link could be made")
    if summary["has_other_class_ids"]:
        found.append("class ids are those of the list from now on")
    if moved := summary["images_moved_to_another_split"]:
        found.append(f"{count(moved, 'image')} moved to another split, as it was asked for")
    if summary["split_by_folders"]:
        found.append(
            "split as the source's own folders are named, train, val (valid, validation) and test: "
            "--split, --split-by or --split-file choose otherwise"
        )
    if unlisted := summary["split_file_names_without_image"]:
        some = ", ".join(map(repr, unlisted[:3])) + (" …" if len(unlisted) > 3 else "")
        fit = "fits" if len(unlisted) == 1 else "fit"
        found.append(f"{count(len(unlisted), 'name')} of --split-file {fit} no image: {some}")
    if held := summary["held"]:
        by_weight = sorted(held.items(), key=lambda each: each[1] != LEFT_OVER)
        some = "; ".join(f"{path}: {why}" for path, why in by_weight[:3])
        more = " …" if len(held) > 3 else ""
        found.append(
            f"{count(len(held), 'file')} left as found: {some}{more} (--overwrite gives them up)"
        )
    return found + of_images(summary)


def of_images(summary: dict[str, Any]) -> list[str]:
    """Images that wait to be asked about."""
    found = []
    if beyond := summary["images"]["beyond_limit"]:
        found.append(f"--limit left out {count(beyond, 'image')} that nothing was asked about")
    if pending := summary["images"]["pending"]:
        found.append(f"{count(pending, 'image')} not annotated yet")
    return found


def count(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number} {noun}s"

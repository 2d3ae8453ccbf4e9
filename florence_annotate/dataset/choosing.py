"""Which images of a job an export takes: those that patterns name, and with `--labelled-only` those
in which something was found."""

from florence_annotate.config.job_spec import JobSpec
from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.images.patterns import is_wanted


def is_included(image: AnnotatedImage, spec: JobSpec) -> bool:
    """Whether the patterns of a specification take an image."""
    has_patterns = spec.include or spec.exclude
    return not has_patterns or is_wanted(image.ref.key, spec.include, spec.exclude)


def is_labelled_enough(image: AnnotatedImage, spec: JobSpec) -> bool:
    """Whether an image has what a specification asks of it; where nothing was asked about it, it is
    not known that there is nothing."""
    return not spec.labelled_only or not image.was_asked or image.is_labelled


def is_chosen(image: AnnotatedImage, spec: JobSpec) -> bool:
    return is_included(image, spec) and is_labelled_enough(image, spec)

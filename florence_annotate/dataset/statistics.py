"""Counts over a dataset."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.geometry.boxes import area, iou
from florence_annotate.reasons import Reason
from florence_annotate.tasks import field_of
from florence_annotate.types import KeptInstance

LARGE = 0.9
"""Part of the image; counted is what `--max-area` of it would leave out."""
SAME_REGION = 0.9
"""Intersection over union; counted are the pairs that `--nms-across-classes` of it would find."""


@dataclass(slots=True)
class Statistics:
    """Counts over a dataset; filled while it is read."""

    instances: Counter[str] = field(default_factory=Counter)
    """Kept instances, by class name."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Dropped ones, by reason."""
    unmapped: Counter[str] = field(default_factory=Counter)
    """Labels that belong to no class."""
    captions: Counter[str] = field(default_factory=Counter)
    """Texts about the images, by what they are called."""
    images: int = 0
    labelled: int = 0
    """Images with an instance or a caption."""
    not_asked: int = 0
    """Images without a text or regions of their own, where the job needs them."""
    large: int = 0
    """Kept boxes that cover more than LARGE of their image."""
    pairs_across_classes: int = 0
    """Pairs of kept boxes of different classes that overlap by more than SAME_REGION."""
    truncated: list[str] = field(default_factory=list)
    """Keys of images with an answer that was cut at the token limit."""

    def add(self, image: AnnotatedImage) -> None:
        self.images += 1
        self.labelled += image.is_labelled
        for instance in image.instances:
            self.instances[image.class_names[instance.class_id]] += 1
            self.large += area(instance.box) > LARGE * image.width * image.height
        self.pairs_across_classes += sum(
            one.class_id != other.class_id and iou(one.box, other.box) > SAME_REGION
            for one, other in _near(image.instances)
        )
        for dropped in image.dropped:
            self.dropped[dropped.reason] += 1
            if dropped.reason is Reason.NO_CLASS:
                self.unmapped[dropped.label] += 1
        self.captions.update([field_of(caption.task) for caption in image.captions])
        if image.truncated:
            self.truncated.append(image.ref.key)


def _near(instances: Iterable[KeptInstance]) -> Iterator[tuple[KeptInstance, KeptInstance]]:
    """Among others all pairs that overlap by more than SAME_REGION; of a crowd hardly more."""
    from_left = sorted(instances, key=lambda instance: instance.box)
    for index, one in enumerate(from_left, start=1):
        left, _, right, _ = one.box
        # beyond this, less than that part of the box lies in the other
        last = right - SAME_REGION * (right - left)
        for other in from_left[index:]:
            if other.box[0] > last:
                break
            yield one, other

"""One image with what the policy kept and dropped of what the model said about it."""

from dataclasses import dataclass
from typing import Any

from florence_annotate.geometry.polygons import to_mask
from florence_annotate.types import Box, Caption, Dropped, ImageRef, KeptInstance, Polygon


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """An image and what the policy kept and dropped of what the model said about it."""

    ref: ImageRef
    sha: str
    width: int
    height: int
    instances: tuple[KeptInstance, ...]
    captions: tuple[Caption, ...]
    dropped: tuple[Dropped, ...]
    truncated: bool
    """An answer was cut at the token limit: there may be more objects."""
    class_names: tuple[str, ...]
    was_asked: bool = True
    """Not where the job has a text or regions for each image, and none for this one."""

    @property
    def text(self) -> str:
        """The one text about the image: its longest caption; empty where it has none."""
        return max((caption.text for caption in self.captions), key=len, default="")

    @property
    def is_labelled(self) -> bool:
        """Whether it has an instance, or a caption with a word."""
        return bool(self.instances or self.text.strip())

    def to_supervision(self) -> Any:
        """The instances as `supervision.Detections`: pixel boxes, class ids, scores as confidence,
        and `class_name` in its data. Masks where any instance has an outline; where any has the
        four points around printed text, those of all under supervision's own name."""
        import numpy as np
        import supervision as sv
        from supervision.config import ORIENTED_BOX_COORDINATES

        if not self.instances:
            return sv.Detections.empty()
        class_ids = [instance.class_id for instance in self.instances]
        data = {"class_name": np.array([self.class_names[i] for i in class_ids])}
        if any(instance.text is not None for instance in self.instances):
            data["text"] = np.array([instance.text or "" for instance in self.instances])
        if any(instance.quad for instance in self.instances):
            quads = [instance.quad or _corners(instance.box) for instance in self.instances]
            data[ORIENTED_BOX_COORDINATES] = np.array(quads, dtype=np.float32)
        mask = None
        if any(instance.polygons for instance in self.instances):
            mask = np.stack([to_mask(i.polygons, self.width, self.height) for i in self.instances])
        return sv.Detections(
            xyxy=np.array([instance.box for instance in self.instances], dtype=np.float32),
            mask=mask,
            confidence=np.array([instance.score for instance in self.instances], dtype=np.float32),
            class_id=np.array(class_ids, dtype=int),
            data=data,
        )


def _corners(box: Box) -> Polygon:
    x1, y1, x2, y2 = box
    return (x1, y1), (x2, y1), (x2, y2), (x1, y2)

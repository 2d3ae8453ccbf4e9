"""Class lists: names, synonyms, prompts; where they are read from; from a label to a class id."""

from florence_annotate.classes.class_list import ClassList, ClassSpec, Matching
from florence_annotate.classes.files import from_data, parse_names, read_file

__all__ = ["ClassList", "ClassSpec", "Matching", "from_data", "parse_names", "read_file"]

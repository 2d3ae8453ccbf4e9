"""Other words for COCO's classes, as models and people use them.

Each stands for the class, or for a kind of it that COCO has no class of its own for. What is as
often something else stands for nothing here: a monitor, a bat, a ball, a table.
"""

_OF_COCO: dict[str, tuple[str, ...]] = {
    "person": (
        *("man", "woman", "boy", "girl", "child", "kid", "baby", "infant", "toddler", "teenager"),
        *("adult", "human", "human being", "lady", "gentleman", "guy", "pedestrian"),
    ),
    "bicycle": ("bike", "mountain bike", "push bike"),
    "car": ("automobile", "hatchback", "motor car", "sedan", "sports car", "suv", "taxi"),
    "motorcycle": ("motorbike", "motor bike", "motor cycle"),
    "airplane": ("aeroplane", "airliner", "jetliner", "plane"),
    "bus": ("double decker bus", "minibus", "school bus"),
    "train": ("railway train",),
    "truck": ("lorry", "pickup", "pickup truck", "pick up truck", "fire truck"),
    "boat": ("motorboat", "rowboat", "row boat", "sailboat", "sailing boat", "speedboat"),
    "traffic light": ("stoplight", "traffic signal"),
    "fire hydrant": ("hydrant", "fireplug"),
    "parking meter": ("parking metre",),
    "bench": ("park bench",),
    "cat": ("kitten",),
    "dog": ("puppy",),
    "horse": ("foal", "pony"),
    "sheep": ("lamb",),
    "cow": ("bull", "cattle"),
    "bear": ("brown bear", "grizzly bear", "polar bear"),
    "backpack": ("back pack", "knapsack", "rucksack"),
    "umbrella": ("parasol",),
    "handbag": ("hand bag", "purse"),
    "tie": ("necktie",),
    "frisbee": ("flying disc",),
    "snowboard": ("snow board",),
    "sports ball": ("golf ball", "rugby ball", "soccer ball", "tennis ball"),
    "baseball glove": ("baseball mitt",),
    "surfboard": ("surf board",),
    "tennis racket": ("tennis racquet",),
    "wine glass": ("wineglass",),
    "cup": ("coffee cup", "coffee mug", "mug", "teacup"),
    "hot dog": ("hotdog",),
    "donut": ("doughnut",),
    "cake": ("birthday cake",),
    "chair": ("armchair",),
    "couch": ("loveseat", "settee", "sofa"),
    "potted plant": ("houseplant", "house plant", "pot plant", "pottedplant"),
    "dining table": ("diningtable", "dinner table"),
    "tv": ("television", "television set", "tv monitor", "tv set", "tvmonitor"),
    "laptop": ("laptop computer", "notebook computer"),
    "mouse": ("computer mouse",),
    "remote": ("remote control",),
    "keyboard": ("computer keyboard",),
    "cell phone": ("cellphone", "cellular phone", "mobile phone", "mobile telephone", "smartphone"),
    "microwave": ("microwave oven",),
    "refrigerator": ("fridge",),
    "clock": ("alarm clock", "wall clock"),
    "teddy bear": ("teddy",),
    "hair drier": ("blow dryer", "hair dryer", "hairdryer"),
    "toothbrush": ("tooth brush",),
}

SYNONYMS: dict[str, str] = {
    synonym: name for name, synonyms in _OF_COCO.items() for synonym in synonyms
}
"""Synonym → the class in COCO's spelling, both normalised."""

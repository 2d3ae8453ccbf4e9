"""A scene that is known by heart, and locations as answers spell them."""

from training.truth import PrintedWord, Target, Truth

STAR = Target("star", "red", (10, 20, 30, 40), (20, 20, 30, 40, 10, 40))
CROSS = Target("cross", "blue", (500, 0, 600, 999), (550, 0, 600, 999, 500, 999))
OTHER_STAR = Target("star", "green", (5, 500, 90, 600), (45, 500, 90, 600, 5, 600))
EXIT = PrintedWord("EXIT", (100, 200, 300, 260))
SCENE = Truth((CROSS, STAR, OTHER_STAR), (EXIT,))


def boxes(*values: int) -> str:
    return "".join(f"<loc_{value}>" for value in values)

"""Selection of images: evenly spaced ones, and those that scorers learn from."""

HELD_OUT_EVERY, MOST_HELD_OUT = 10, 64  # photos that scorers are measured on


def evenly_spaced(count: int, limit: int) -> list[int]:
    """Return `limit` indices spread evenly over range(count), the first and the last among them, in ascending order.

    All indices are returned where `limit` is 0 or not below `count`; a limit of 1 selects the first.
    """
    if not limit or limit >= count:
        return list(range(count))
    import numpy as np  # listings and help texts start without it

    return [int(index) for index in np.linspace(0, count - 1, limit).round()]


def scorer_split(photos: int) -> tuple[list[int], list[int]]:
    """Return the indices of the photos that scorers learn from, and of those that are held out to measure them: one in
    ten and at most 64, evenly spaced, none of fewer than ten."""
    count = min(MOST_HELD_OUT, photos // HELD_OUT_EVERY)
    held_out = evenly_spaced(photos, count) if count else []
    return sorted(set(range(photos)) - set(held_out)), held_out

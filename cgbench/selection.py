"""Selection of images: evenly spaced ones, and those that scorers learn from."""

from collections.abc import Sequence

HELD_OUT_EVERY, MOST_HELD_OUT = 10, 64  # photos that scorers are measured on


def evenly_spaced(count: int, limit: int) -> list[int]:
    """Return `limit` indices spread evenly over range(count), the first and the last among them, in ascending order.

    All indices are returned where `limit` is 0 or not below `count`; a limit of 1 selects the first.
    """
    if not limit or limit >= count:
        return list(range(count))
    import numpy as np  # listings and help texts start without it

    return [int(index) for index in np.linspace(0, count - 1, limit).round()]


def scorer_split(photos: int, groups: Sequence[str] = ()) -> tuple[list[int], list[int]]:
    """Return the indices of the photos that scorers learn from, and of those that are held out to measure them: one in
    ten and at most 64, evenly spaced, none of fewer than ten.

    Where the photos are of ten `groups` or more (the patient or clip of each photo), whole groups are held out: one in
    ten, of at most 64 photos together if more than one.
    """
    names = list(dict.fromkeys(groups))
    if len(names) >= HELD_OUT_EVERY:
        most = max(1, MOST_HELD_OUT * len(names) // photos)
        chosen = evenly_spaced(len(names), min(most, len(names) // HELD_OUT_EVERY))
        kept_out = {names[index] for index in chosen}
        held_out = [index for index, name in enumerate(groups) if name in kept_out]
    else:
        count = min(MOST_HELD_OUT, photos // HELD_OUT_EVERY)
        held_out = evenly_spaced(photos, count) if count else []
    return sorted(set(range(photos)) - set(held_out)), held_out

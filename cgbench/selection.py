"""Evenly spaced selection of images."""


def evenly_spaced(count: int, limit: int) -> list[int]:
    """Return `limit` indices spread evenly over range(count), the first and the last among them, in ascending order.

    All indices are returned where `limit` is 0 or not below `count`; a limit of 1 selects the first.
    """
    if not limit or limit >= count:
        return list(range(count))
    import numpy as np  # listings and help texts start without it

    return [int(index) for index in np.linspace(0, count - 1, limit).round()]

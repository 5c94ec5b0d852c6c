"""A metric to start from: the distance between the mean colours of outputs and of real images."""

import numpy as np

from cgbench import Metric, Scores, Translations, Value


def my_metric() -> Metric:  # function, first argument and entry point: one name
    """Return the distance between mean colours."""
    return Metric(
        "my_metric",
        "distance between the mean colours of outputs and of real target images, scale 0 to 1",
        # One or several numbers: name in records, label in tables, what is better ("higher", "lower", "" for neither),
        # digits, and the ends of the scale. Their names must differ from those of all other metrics.
        values=(Value("colour_distance", "colour dist.", better="lower", digits=3, minimum=0, maximum=1),),
        compute=colour_distance,
        not_applicable=why_not,
        rank=70,  # place in tables; small ones come first
        version=1,  # raise it with every change of the arithmetic: numbers of two versions stand in no one table
        source="where it was published",
    )


def colour_distance(translations: Translations) -> Scores:
    """Return the mean absolute difference of the mean colours of both sets, and of each image's from the real mean."""
    # All arrays are uint8 (N, S, S, 3), and must not be written to. There may be more or fewer targets than outputs.
    assert translations.targets is not None  # `why_not` has seen to it
    real = translations.targets.mean(axis=(0, 1, 2)) / 255
    by_image = np.abs(translations.outputs.mean(axis=(1, 2)) / 255 - real).mean(axis=1)
    distance = float(np.abs(translations.outputs.mean(axis=(0, 1, 2)) / 255 - real).mean())
    # Numbers per image are optional: one per output, NaN where there is none; with `Value(..., of="target")` one per
    # target.
    return Scores({"colour_distance": distance}, per_image={"colour_distance": by_image})


def why_not(translations: Translations) -> str | None:
    """Return why the metric does not apply, or None."""
    return "needs real target images" if translations.targets is None else None

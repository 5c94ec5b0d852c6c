"""A package that misbehaves, laid out as an installer would, and the command line that finds it."""

import os
import subprocess
import sys

DECLARATIONS = """
from dataclasses import replace

import numpy as np
from cgbench import Dataset, Detection, Domain, Failure, Metric, Method, Reference, Scores, Value
from cgbench.methods.cyclegan import cyclegan as original

CALLS = []

def sound_method():
    return original().but("sound_method", "as the original")

def none():
    return None

def number():
    return 3

def raising():
    raise ValueError("two\\nlines")

def leaving():
    raise SystemExit("good bye")

def cyclegan():
    return original().but("cyclegan", "another one of that name")

def uncallable_term():
    return original().but("uncallable_term", functions={"cycle_a": None})

def endless_weight():
    return original().but("endless_weight", weights={"cycle_a": float("nan")})

def foreign_default():
    return original().but("foreign_default", defaults={"steps": 3})

def uncallable_reference():
    return Method("uncallable_reference", "no function", reference=Reference("copy", "floor"))

VALUE = original()  # a value, not its factory

def values(name, *values, **changes):
    metric = Metric(name, name, values, compute=lambda t: Scores({value.name: 0.0 for value in values}))
    return replace(metric, **changes)

def best():
    return values("best", Value("best", "best", "best"))

def taken():
    return values("taken", Value("psnr", "PSNR", "higher"))

def valueless():
    return values("valueless", "brightness")

def uncallable_metric():
    return values("uncallable_metric", Value("uncallable", "uncallable", ""), compute=3)

def unprintable():
    return values("unprintable", Value("unprintable", "\\x1b[31m", ""))

def unprintable_name():
    return original().but("\\ud800", "as the original")

def similarity():
    return values("similarity", Value("another", "another", ""))

def evidence(t):
    return Detection(np.zeros(len(t.keys)))

def failure(name, **changes):
    return replace(Failure(name, name, "s", "e", evidence, 1.0, True, 0.5, "j"), **changes)

def too_common():
    return failure("too_common", share=1.5)

def boundless():
    return failure("boundless", threshold=float("inf"))

class Base(Dataset):
    summary = "grey"
    domains = (Domain("a"), Domain("b"))

    def items(self, split, domain):
        return []

class NoDomains(Dataset):
    name, summary = "no_domains", "none"

    def items(self, split, domain):
        return []

class NoTexts(Base):
    name, splits = "no_texts", (1, 2)

class OneText(Base):
    name, splits = "one_text", "train"

class Abstract(Dataset):
    name, summary, domains = "abstract", "lists nothing", (Domain("a"), Domain("b"))
"""
EXIT = "import sys\nsys.exit(7)\n"
RUNNING = """
import numpy as np
from cgbench import Apply, Dataset, Detection, Domain, Failure, Item, Method, Metric, Reference, Scores, Value
from cgbench.methods.cyclegan import cyclegan

STEPS, MADE = [], []

def late(*tensors):
    if (tensors[1] < -0.9).float().mean() > 0.15:  # real images with their background, unlike the noise of the plan
        STEPS.append(0)
    if len(STEPS) > 1:
        raise KeyError("in the middle")
    return (tensors[0] - tensors[1]).abs().mean()

def first(*tensors):
    return tensors[0].nonsense

def leave(*tensors):
    raise SystemExit(5)

def late_loss():
    return cyclegan().but("late_loss", functions={"cycle_b": late})

def first_loss():
    return cyclegan().but("first_loss", functions={"cycle_a": first})

def leaving_loss():
    return cyclegan().but("leaving_loss", functions={"cycle_a": leave})

def scribble(sources, targets, rng):
    sources[:] = 0
    return targets

def scribbling_row():
    return Method("scribbling_row", "writes", reference=Reference(scribble, "floor"))

def metric(name, compute):
    return Metric(name, name, (Value(name, name, "lower"),), compute=compute, rank=-9)

def write(t):
    for name in ("sources", "outputs", "targets", "labels", "target_labels", "reconstructions", "identities", "finite"):
        array = getattr(t, name)
        if array is None:
            continue
        try:
            array[:] = 0
        except ValueError:
            continue
        raise SystemError(f"{name} can be written to")
    if t.scorer is not None:
        t.scorer(t.targets)[:] = 0
    t.outputs[:] //= 2

def writing():
    return metric("writing", write)

def mapping():
    return metric("mapping", lambda t: {"mapping": 1.0})

def escaping(t):
    raise ValueError("\\ud800\\x1b[31m")

def unprintable():
    return metric("unprintable", escaping)

def undeclared():
    return metric("undeclared", lambda t: Scores({"undeclared": 1.0, "more": 2.0}))

def raising():
    return metric("raising", lambda t: 1 / 0)

def once():
    MADE.append(0)
    if len(MADE) > 1:
        raise OSError("only one of these")
    return metric("once", lambda t: Scores({"once": 1.0}))

def inapplicable():
    return Metric("inapplicable", "i", (Value("inapplicable", "i", ""),), lambda t: Scores({}), lambda t: t.nothing)

def writing_detector():
    return Failure("writing_detector", "w", "w", "e", write, 1.0, True, 0.5, "j", rank=-9)

class Grey(Dataset):
    summary, domains = "grey", (Domain("a"), Domain("b"))

    def items(self, split, domain):
        return [Item(f"{n}", lambda side, n=n: np.full((side, side, 3), 40 * n, np.uint8)) for n in range(4)]

class RaisingItems(Grey):
    name = "raising_items"

    def items(self, split, domain):
        return [][0]

class RaisingMissing(Grey):
    name = "raising_missing"

    def missing(self):
        return {}["where"]

class RaisingImage(Grey):
    name = "raising_image"

    def items(self, split, domain):
        return [Item(f"{n}", lambda side: 1 / 0) for n in range(4)]

class UnprintableLabel(Grey):
    name, label = "unprintable_label", "\\ud800"

class UnprintableKey(Grey):
    name = "unprintable_key"

    def items(self, split, domain):
        return [Item("\\x1b[31m", None)]

class NoItems(Grey):
    name = "no_items"

    def items(self, split, domain):
        return ["a.png", "b.png"]
"""
SMALL = [f"--set={key}" for key in ("steps=3", "crop_size=16", "load_size=20", "ngf=4", "ndf=4", "max_train_images=4",
                                    "max_test_images=3", "scorer_steps=4", "scorer_limit=4")]  # fmt: skip


class Installed:
    """A package with modules and entry points, as an installer lays it out, and the command line that finds it."""

    def __init__(self, folder, modules, points):
        self.folder = folder
        info = folder / "hostile-1.0.dist-info"
        info.mkdir(parents=True)
        self.work = folder / "work"
        self.work.mkdir()
        for name, text in modules.items():
            (folder / f"{name}.py").write_text(text)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hostile\nVersion: 1.0\n")
        groups = {group: "\n".join(f"{name} = {value}" for name, value in found.items())
                  for group, found in points.items()}  # fmt: skip
        (info / "entry_points.txt").write_text("".join(f"[cgbench.{key}]\n{text}\n" for key, text in groups.items()))

    def python(self, *arguments, code=0, found=True):
        cache = {"CGBENCH_CACHE": str(self.folder / "cache"), "COLUMNS": "300"}
        environment = {**os.environ, **cache, "PYTHONPATH": str(self.folder) if found else ""}
        command = [sys.executable, *(("-c",) if len(arguments) == 1 else ()), *map(str, arguments)]
        done = subprocess.run(command, env=environment, cwd=self.work, capture_output=True, text=True, timeout=200)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def cgbench(self, *arguments, **expected):
        return self.python("-m", "cgbench.benchmarks", *arguments, **expected)

    def run(self, methods, *arguments, dataset="phantoms", **expected):
        chosen = ("run", "--methods", methods, "--dataset", dataset, "--preset", "smoke", "--device", "cpu")
        return self.cgbench(*chosen, *SMALL, *arguments, **expected)

"""The configuration of a trial: typed settings, recorded whole. `config_layers` merges it from layers.

A method may set its own fields only; budget, batch, resolution and augmentation belong to the suite, or the comparison
is not fair.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

TRAINED = "trained"  # the setting `scorer` that names no published network
ONE_SHAPE = ("squash", "crop")  # resize modes that give all images one shape
WHOLE_NUMBER_BOUND = 2**31  # of every setting without a bound of its own


def setting(
    default: Any, doc: str, *, minimum: float | None = None, below: float | None = None, choices: tuple[str, ...] = (),
    method: bool = False, private: bool = False, affects: str = "training",
) -> Any:  # fmt: skip
    """Declare a field of the configuration.

    Args:
        default: Its default, which also is its type.
        doc: What it means, in one sentence, with units.
        minimum: The smallest value.
        below: An upper bound that is not reached.
        choices: The allowed texts.
        method: Whether a method may set it for itself.
        private: Whether it concerns only the methods that name it in their `settings`.
        affects: "training", "evaluation" or "bookkeeping": only the first makes a trained model another one.

    Returns:
        A dataclass field with all that as its metadata.
    """
    metadata = {"doc": doc, "minimum": minimum, "below": below, "choices": choices, "private": private}
    metadata |= {"method": method or private, "affects": affects}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class TrialConfig:
    """Everything that decides a trial, apart from its method, dataset and seed. Defaults are the published recipe."""

    steps: int = setting(0, "Training steps; 0 means that `epochs` decides.", minimum=0)
    epochs: int = setting(200, "Passes over the larger domain, used where `steps` is 0.", minimum=1)
    batch_size: int = setting(1, "Images per domain and step.", minimum=1)
    decay_fraction: float = setting(
        0.5, "Last share of the budget in which the learning rate falls linearly.", minimum=0, below=1.0001
    )

    load_size: int = setting(
        286, "Side in pixels to which a training image is resized; HEIGHTxWIDTH for a rectangle.", minimum=8
    )
    load_width: int = setting(0, "Width, where it is not the height `load_size`; 0 means as the height.", minimum=0)
    crop_size: int = setting(
        256, "Side in pixels of the random training crop and of the test images; HEIGHTxWIDTH for a rectangle.",
        minimum=8,
    )  # fmt: skip
    crop_width: int = setting(0, "Width, where it is not the height `crop_size`; 0 means as the height.", minimum=0)
    resize_mode: str = setting(
        "squash",
        "How an image of another shape is resized: `squash` resizes both sides, `crop` keeps the ratio and cuts the "
        "middle, `keep` keeps the ratio and the whole image, `none` keeps its size.",
        choices=(*ONE_SHAPE, "keep", "none"),
    )
    window_a: str = setting(
        "", "Stored numbers of A that become -1 and 1, LOW:HIGH, or `measured`; empty means the dataset's own."
    )
    window_b: str = setting("", "The same of B.")
    horizontal_flip: bool = setting(True, "Whether half of the training crops are mirrored.")
    max_train_images: int = setting(
        0, "Training images per domain, the first ones of the split; 0 means all.", minimum=0
    )
    max_test_images: int = setting(
        0,
        "Test images, and validation images, spread evenly over the split; 0 means all.",
        minimum=0,
        affects="evaluation",
    )
    test_size: str = setting(
        "crop", "Size at which test images are translated: `crop`, that of the training crops, or `own`, their own.",
        choices=("crop", "own"), affects="evaluation",
    )  # fmt: skip
    split: str = setting(
        "", "Split of the dataset that gives the test images, where it has several; empty means its usual one.",
        affects="evaluation",
    )  # fmt: skip
    paired: str = setting(
        "auto", "Whether test images are pairs: `auto` asks the dataset, `yes` and `no` decide.",
        choices=("auto", "yes", "no"), affects="evaluation",
    )  # fmt: skip

    generator: str = setting("resnet", "Generator network.", choices=("resnet", "unet"), method=True)
    blocks: int = setting(9, "Residual blocks of the ResNet generator.", minimum=0, below=1001)
    ngf: int = setting(64, "Channels after the generator's first layer.", minimum=1)
    discriminator: str = setting("patch", "Discriminator network.", choices=("patch", "pixel"), method=True)
    discriminator_layers: int = setting(3, "Strided layers of the PatchGAN; 3: 70-pixel field.", minimum=1, below=33)
    ndf: int = setting(64, "Channels after the discriminator's first layer.", minimum=1)
    norm: str = setting("instance", "Normalisation of both networks.", choices=("instance", "batch"), method=True)
    init_std: float = setting(
        0.02, "Standard deviation of normal initial weights, gain of Xavier ones.", minimum=0, method=True
    )

    learning_rate: float = setting(2e-4, "Adam's step size before the decay.", minimum=0, method=True)
    beta1: float = setting(0.5, "Adam's decay of the mean gradient.", minimum=0, below=1, method=True)
    beta2: float = setting(0.999, "Adam's decay of the squared gradient.", minimum=0, below=1, method=True)
    weight_decay: float = setting(0.0, "Adam's L2 penalty on the weights.", minimum=0, method=True)
    ema_decay: float = setting(
        0.0, "Decay per step of averaged weights, evaluated beside the last ones; 0 means none.", minimum=0, below=1
    )
    pool_size: int = setting(
        50, "Images per domain that the discriminator's image pool holds; 0 means none.", minimum=0
    )

    precision: str = setting(
        "float32", "Number format inside the networks: `float32`, or `bf16` beside float32 weights, losses and means.",
        choices=("float32", "bf16"),
    )  # fmt: skip
    memory_format: str = setting(
        "channels_last", "Order of maps in memory; changes last digits only.", choices=("channels_last", "contiguous")
    )
    compile: bool = setting(
        False, "Whether networks are compiled for training (torch.compile); wants a C++ compiler and a minute."
    )
    cuda_graphs: bool = setting(
        False, "Whether the GPU records a training step once and replays it (CUDA graphs); the rate is float32 then."
    )

    evaluate_every: int = setting(
        0, "Steps between two measurements on validation and test images; 0 means only at the end.", minimum=0,
        affects="bookkeeping",
    )  # fmt: skip
    validation_images: int = setting(
        0,
        "Training images per domain, spread evenly, kept for validation where the dataset has no split for it.",
        minimum=0,
        affects="bookkeeping",
    )  # fmt: skip; the images themselves identify a training

    features: str = setting(
        "vgg16", "Network of the feature loss: `vgg16`, pretrained, or the dataset's `scorer`.",
        choices=("vgg16", "scorer"), private=True,
    )  # fmt: skip
    search_steps: int = setting(200, "Steps of the search for an image's latent code.", minimum=1, private=True)
    classes: int = setting(19, "Classes of the dataset's labels; the dataset sets it.", minimum=1, private=True)
    channels_a: int = setting(3, "Bands of the images of A; the dataset sets it.", minimum=1, below=65)
    channels_b: int = setting(3, "Bands of the images of B; the dataset sets it.", minimum=1, below=65)

    scorer: str = setting(
        TRAINED,
        "What gives FCN scores: networks `trained` on the dataset's photos, or a published one, by the name of its "
        "JSON file in the folder that CGBENCH_WEIGHTS names.",
        affects="evaluation",
    )
    scorers: int = setting(
        3, "Scorers per domain of photos, over which FCN scores are means.", minimum=1, below=101, affects="evaluation"
    )
    scorer_limit: int = setting(
        0, "Photos that the scorers learn from, spread evenly; 0 means all.", minimum=0, affects="evaluation"
    )
    scorer_steps: int = setting(3000, "Training steps of the scorer.", minimum=1, affects="evaluation")
    scorer_batch: int = setting(16, "Images per step of the scorer's training.", minimum=1, affects="evaluation")
    scorer_width: int = setting(32, "Channels after the scorer's first layer.", minimum=1, affects="evaluation")

    log_every: int = setting(50, "Steps between two lines of the loss log.", minimum=1, affects="bookkeeping")
    save_every: int = setting(1000, "Steps between two checkpoints.", minimum=1, affects="bookkeeping")
    keep_last: int = setting(
        1, "Checkpoints kept, the newest among them; their mean score is shown beside that of the newest.", minimum=1,
        affects="bookkeeping",
    )  # fmt: skip
    keep_best: str = setting(
        "", "Number by which the best checkpoint on validation images is kept as well; empty means none.",
        affects="bookkeeping",
    )  # fmt: skip

    def total_steps(self, count_a: int, count_b: int) -> int:
        """Return the number of training steps for domains of the given sizes."""
        return self.steps or self.epochs * self.steps_per_epoch(count_a, count_b)

    @property
    def crop_shape(self) -> tuple[int, int]:
        """Height and width of the training crops, in pixels."""
        return self.crop_size, self.crop_width or self.crop_size

    @property
    def load_shape(self) -> tuple[int, int]:
        """Height and width to which training images are resized, in pixels."""
        return self.load_size, self.load_width or self.load_size

    @property
    def test_resize_mode(self) -> str:
        """How test images are resized: `none` where they keep their own size."""
        return "none" if self.test_size == "own" else self.resize_mode

    def channels(self, domain: str) -> int:
        """Return the number of bands of a domain, "a" or "b"."""
        return self.channels_a if domain == "a" else self.channels_b

    def affecting(self, what: str) -> dict[str, Any]:
        """Return the fields that affect `what`: "training", "evaluation" or "bookkeeping"."""
        return {name: getattr(self, name) for name, item in FIELDS.items() if item.metadata["affects"] == what}

    def steps_per_epoch(self, count_a: int, count_b: int) -> int:
        """Return the steps in which the larger domain is seen once (rounded up)."""
        return -(-max(count_a, count_b) // self.batch_size)


FIELDS = {item.name: item for item in dataclasses.fields(TrialConfig)}
FORMER_NAMES = {
    "batch": "batch_size",
    "graphs": "cuda_graphs",
    "layout": "memory_format",
    "fit": "resize_mode",
    "train_limit": "max_train_images",
    "test_limit": "max_test_images",
    "flip": "horizontal_flip",
    "validation": "validation_images",
}  # fmt: skip; of settings, before version 0.1
PRIVATE = frozenset(name for name, item in FIELDS.items() if item.metadata["private"])

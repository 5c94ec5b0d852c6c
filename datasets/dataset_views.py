"""Views of a dataset: under the label that a run recorded, and with windows that were measured or set."""

from collections.abc import Sequence

from cgbench.api.dataset import Dataset, Domain, Item, Listing
from cgbench.datasets.validation_split import ValidationSplit


def under_label(dataset: Dataset, label: str) -> Dataset:
    """Return the dataset under a label: itself where that is its own. Whether the images are the recorded ones is not
    looked at."""
    return dataset if label == dataset.label else RecordedLabel(dataset, label)


def with_domains(dataset: Dataset, domains: tuple[Domain, Domain]) -> Dataset:
    """Return the dataset with these domains, which differ in their windows: itself where they are its own."""
    return dataset if tuple(domains) == tuple(dataset.domains) else OtherDomains(dataset, domains)


class RecordedLabel(ValidationSplit):
    """A view of `dataset` with another label and nothing held out."""

    def __init__(self, dataset: Dataset, label: str) -> None:
        super().__init__(dataset, {"A": frozenset(), "B": frozenset()})
        self.splits, self.recorded_label = dataset.splits, label

    @property
    def label(self) -> str:
        """The recorded label."""
        return self.recorded_label

    def items(self, split: str, domain: str) -> Sequence[Item]:
        """Return the images of the wrapped dataset."""
        return self.dataset.items(split, domain)

    def listing(self, split: str, domain: str) -> Listing:
        """Return the list of the wrapped dataset."""
        return self.dataset.listing(split, domain)

    def identity(self) -> str | None:
        """Return the identity of the wrapped dataset. It is defined here because an inherited one does not count."""
        return super().identity()


class OtherDomains(RecordedLabel):
    """A view of `dataset` with other windows of its domains."""

    def __init__(self, dataset: Dataset, domains: tuple[Domain, Domain]) -> None:
        super().__init__(dataset, dataset.label)
        self.domains = domains

    def target(self, direction: str) -> Domain:
        """Return the domain that `direction` translates to."""
        return self.domains[self.dataset.domains.index(self.dataset.target(direction))]

    def identity(self) -> str | None:
        """Return the identity of the wrapped dataset: windows change no stored number."""
        return super().identity()

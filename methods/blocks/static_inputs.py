"""What is drawn for a training step, in tensors that stay where they are: a recorded step finds new numbers there."""

from collections.abc import Callable

from torch import Tensor

Value = Tensor | tuple[Tensor, ...]  # what a named tensor of the graph may be
SampleFunction = Callable[[str, list[Value], int], Value]  # of a tensor's name, its inputs and the step


class StaticInputs:
    """The drawn tensors of a step by name. `draw` makes them; of a tensor's inputs it reads shape, type and device."""

    def __init__(self, draw: SampleFunction) -> None:
        self.draw = draw
        self.values: dict[str, Value] = {}
        self.likes: dict[str, list[Value]] = {}  # inputs of the same shapes, which take up no memory

    def value(self, tensor: str, inputs: list[Value], step: int) -> Value:
        """Return what is held of `tensor`; drawn now if it is asked for the first time."""
        if tensor not in self.values:
            self.likes[tensor] = [each(_meta_like, value) for value in inputs]
            self.values[tensor] = self.draw(tensor, inputs, step)
        return self.values[tensor]

    def renew(self, step: int) -> None:
        """Draw everything that is held anew, for `step`, to where it lies."""
        for tensor, value in self.values.items():
            each(Tensor.copy_, value, self.draw(tensor, self.likes[tensor], step))


def each(function: Callable[..., Tensor], *values: Value) -> Value:
    """Return `function` of the values, member by member where they are tuples."""
    if isinstance(values[0], tuple):
        return tuple(each(function, *members) for members in zip(*values, strict=True))
    return function(*values)


def _meta_like(tensor: Tensor) -> Tensor:
    """Return a tensor of the same shape, type and device in the memory of one number."""
    return tensor.new_empty(1).expand(tensor.shape)

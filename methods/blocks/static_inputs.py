"""Static inputs of a captured training step: the sampled tensors, rewritten in place before each replay."""

from collections.abc import Callable

from torch import Tensor

Value = Tensor | tuple[Tensor, ...]  # the value of a named tensor of the graph
SampleFunction = Callable[[str, list[Value], int], Value]  # of a tensor's name, its inputs and the step


class StaticInputs:
    """The sampled tensors of a step by name, at fixed addresses.

    `draw` samples them; of a tensor's inputs it reads shape, type and device only.
    """

    def __init__(self, draw: SampleFunction) -> None:
        self.draw = draw
        self.values: dict[str, Value] = {}
        self.input_templates: dict[str, list[Value]] = {}  # inputs of the same shapes that occupy no memory

    def value(self, tensor: str, inputs: list[Value], step: int) -> Value:
        """Return the stored value of `tensor`; sample it at the first request."""
        if tensor not in self.values:
            self.input_templates[tensor] = [map_tensors(_template, value) for value in inputs]
            self.values[tensor] = self.draw(tensor, inputs, step)
        return self.values[tensor]

    def redraw(self, step: int) -> None:
        """Sample all stored values anew for `step`, in place."""
        for tensor, value in self.values.items():
            map_tensors(Tensor.copy_, value, self.draw(tensor, self.input_templates[tensor], step))


def map_tensors(function: Callable[..., Tensor], *values: Value) -> Value:
    """Return `function` of the values, member by member where they are tuples."""
    if isinstance(values[0], tuple):
        return tuple(map_tensors(function, *members) for members in zip(*values, strict=True))
    return function(*values)


def _template(tensor: Tensor) -> Tensor:
    """Return a tensor of the same shape, type and device that occupies the memory of one number."""
    return tensor.new_empty(1).expand(tensor.shape)

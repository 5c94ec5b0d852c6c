"""The component under test, from its name, its factory or itself, and the form in which a check fails."""

from collections.abc import Callable
from typing import TypeVar

from cgbench.api.registry import Named, Registry
from cgbench.errors import CgbenchError

Component = TypeVar("Component", bound=Named)


def require(condition: object, message: str) -> None:
    """Raise `AssertionError(message)` unless the condition holds; unlike `assert`, under `python -O` too."""
    if not condition:
        raise AssertionError(message)


def resolve(
    registry: Registry[Component], component: str | Component | Callable[[], Component], kind: type[Component]
) -> Component:
    """Return the component: by its registered name, as it is, or made by its factory.

    Raises `AssertionError` where a factory makes something else, or something of another name than its own, which the
    registry refuses.
    """
    if isinstance(component, str):
        return registry.get(component)
    if isinstance(component, kind):
        return component
    require(callable(component), f"{component!r} is neither a {kind.__name__}, nor its name, nor a factory of one")
    made = component()  # type: ignore[operator]  # checked in the line above
    require(isinstance(made, kind), f"the factory returns {type(made).__name__}, not a {kind.__name__}")
    expected = str(getattr(component, "name", None) or getattr(component, "__name__", made.name))
    if expected.isidentifier():  # not that of a lambda
        require(made.name == expected, f"'{expected}' calls itself '{made.name}': give factory and value one name")
    return made


def require_declared(check: Callable[[Component], None], component: Component) -> None:
    """Raise `AssertionError` where a check of `cgbench.api.declarations` refuses the component."""
    try:
        check(component)
    except CgbenchError as error:
        raise AssertionError(str(error)) from None

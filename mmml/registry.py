"""Registries: parts that are found by name, with options checked against their signatures.

A registry is filled at the first look-up: from every module of its package, and from installed
packages that name modules in the entry-point group ``mmml.parts``. So a new part is one file, in
this repository or in another package.
"""

import functools
import importlib
import inspect
import pkgutil
import types
import typing
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any, TypeVar

from mmml.errors import UserError, did_you_mean

GROUP = "mmml.parts"  # the entry-point group in which packages name their modules

T = TypeVar("T")


class Registry:
    """The parts of one kind, such as the encoders.

    Args:
        kind: the name of a part in messages.
        package: the package whose modules register the built-in parts.
        functions: whether a part may be a function, whose options are its keyword-only parameters:
            building it returns a function of the other parameters.
    """

    def __init__(self, kind: str, package: str, functions: bool = False):
        self.kind, self.functions = kind, functions
        self.package = package
        self._parts: dict[str, Callable[..., Any]] = {}
        self._filled = False

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that registers a class or function as ``name``."""

        def add(part: T) -> T:
            known = self._parts.get(name)
            if known is not None and _origin(known) != _origin(part):
                raise ValueError(f"two parts are registered as {self.kind} {name!r}")
            self._parts[name] = typing.cast(Callable[..., Any], part)
            return part

        return add

    def names(self) -> list[str]:
        """All known names, sorted."""
        self._fill()
        return sorted(self._parts)

    def get(self, name: str, where: str) -> Callable[..., Any]:
        """Return the part ``name``; ``where`` is the option that named it, for the message."""
        self._fill()
        if name not in self._parts:
            choices = ", ".join(self.names())
            raise UserError(
                f"{where}={name}: there is no {self.kind} of that "
                f"name{did_you_mean(str(name), self._parts)} (known: {choices})"
            )
        return self._parts[name]

    def build(
        self,
        name: str,
        options: Mapping[str, Any],
        where: str,
        named_by: str | None = None,
        **context: Any,
    ) -> Any:
        """Construct part ``name`` from ``options``, which must fit its signature exactly.

        Args:
            name: a registered name.
            options: what the user may set; names and types are checked.
            where: the dotted path of the options in the config, for messages.
            named_by: the option that holds the name (``<where>.name``).
            context: arguments that the program supplies, not the user, to parts that name them.

        Raises:
            UserError: an option is unknown, missing or of the wrong type.
        """
        named_by = named_by or f"{where}.name"
        part, parameters = self.get(name, named_by), self.options_of(name, named_by)
        is_function = self.functions and not isinstance(part, type)
        if is_function:  # its other parameters are passed when it is called
            parameters = {k: p for k, p in parameters.items() if p.kind is p.KEYWORD_ONLY}
        supplied = {k: v for k, v in context.items() if k in parameters}
        wanted = {k: p for k, p in parameters.items() if k not in context}
        # A part that takes **options passes them to parts of its own, which check them.
        forwards = any(p.kind is p.VAR_KEYWORD for p in wanted.values())
        wanted = {k: p for k, p in wanted.items() if p.kind is not p.VAR_KEYWORD}
        for key, value in options.items():
            if key in wanted:
                check_type(value, wanted[key].annotation, f"{where}.{key}")
            elif not forwards or key in context:
                raise UserError(
                    f"{where}.{key}: {self.kind} {name!r} has no such "
                    f"option{did_you_mean(key, wanted)}"
                )
        for key, parameter in wanted.items():
            if key not in options and parameter.default is parameter.empty:
                raise UserError(f"{where}.{key} is missing: {self.kind} {name!r} needs it")
        if is_function:
            return functools.partial(part, **options) if options else part
        return part(**options, **supplied)

    def build_section(self, section: Mapping[str, Any], where: str, **context: Any) -> Any:
        """Build the part that the ``name`` of a config section names, with the section's other
        options.
        """
        options = dict(section)
        if "name" not in options:
            raise UserError(f"{where}.name is missing: it says which {self.kind} to build")
        return self.build(options.pop("name"), options, where, **context)

    def options_of(self, name: str, where: str) -> dict[str, inspect.Parameter]:
        """Return the parameters of part ``name``, with resolved annotations."""
        return dict(inspect.signature(self.get(name, where), eval_str=True).parameters)

    def _fill(self) -> None:
        if self._filled:
            return
        self._filled = True  # set before filling, since parts look up one another
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self.package}.{module.name}")
        for entry in entry_points(group=GROUP):
            try:
                entry.load()
            except Exception as error:  # whatever a module raises when it is imported
                source = entry.dist.name if entry.dist else entry.name
                raise UserError(
                    f"the package {source} names {entry.value} in the entry-point group {GROUP}, "
                    f"which cannot be imported ({type(error).__name__}: {error})"
                ) from error


def _origin(part: Any) -> tuple[str, str]:
    """Return where a part is defined, which does not change if its module is imported again."""
    return part.__module__, part.__qualname__


def check_type(value: Any, annotation: Any, where: str) -> None:
    """Raise ``UserError`` if a value does not have the annotated type (an int is accepted as a
    float).
    """
    if isinstance(value, str) and _takes_a_section(annotation):
        raise UserError(f"{where}={value}: name the choice by {where.replace('.', '/')}={value}")
    if not _fits(value, annotation):
        given = "null" if value is None else value
        raise UserError(
            f"{where}={given}: expected {_in_words(annotation)}, got {_in_words(type(value))}"
        )


def _in_words(annotation: Any) -> str:
    """A type as users write it: ``int or null``, ``list of float``, ``one of 'a', 'b'``."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is type(None):
        return "null"
    if origin is typing.Literal:
        return f"one of {', '.join(map(repr, args))}"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(_in_words, args))
    if Mapping in (origin, annotation) or dict in (origin, annotation):
        return "a section"
    name = getattr(origin or annotation, "__name__", str(annotation))
    return f"{name} of {_in_words(args[0])}" if origin is list else name


def _takes_a_section(annotation: Any) -> bool:
    """Whether an option is a section with the name of a part and its options."""
    return Mapping in (typing.get_origin(a) for a in (annotation, *typing.get_args(annotation)))


def _fits(value: Any, annotation: Any) -> bool:
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in (Any, inspect.Parameter.empty):
        return True
    if origin is typing.Literal:
        return value in args
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, a) for a in args)
    if origin is list:
        return isinstance(value, list) and all(_fits(v, args[0]) for v in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(v, args[1]) for v in value.values())
    if annotation is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return value is None if annotation is type(None) else isinstance(value, origin or annotation)

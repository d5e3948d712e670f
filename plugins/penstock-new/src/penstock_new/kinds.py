"""The four kinds of plugins: what their packages have of their own, and what they need."""

from __future__ import annotations

from attrs import frozen

__all__ = ["KINDS", "Kind"]


@frozen(kw_only=True)
class Kind:
    """A kind of plugin.

    Attributes:
        name: "provider", "gate", "step" or "sink"; the name of its hook and of its templates' folder.
        summary: what the template's part does, for its registration and its page.
        table: where a penstock.toml asks for one.
        dependencies: what it imports beside attrs and penstock.
        files: those that only this kind has, as the package's path and the template's.
    """

    name: str
    summary: str
    table: str
    dependencies: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()

    @property
    def suite(self) -> str:
        """The suite of `penstock.testing` that it must pass."""
        return f"{self.name.capitalize()}Contract"


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            name="provider",
            summary="models over HTTP",
            table="[providers.{part}]",
            dependencies=("penstock-http",),
            files=(("tests/vendor.py", "provider/vendor.py.jinja"),),
        ),
        Kind(name="gate", summary="so many calls at once", table="[[gates]]"),
        Kind(name="step", summary="the first characters of a text", table="[[pipeline]]"),
        Kind(name="sink", summary="a line of JSON for each request", table="[[sinks]]"),
    )
}
"""The kinds of plugins that can be started, by name."""

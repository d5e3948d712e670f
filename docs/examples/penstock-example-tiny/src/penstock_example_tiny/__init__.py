"""A provider for penstock: the models of Tiny, a vendor that does not exist."""

from penstock_example_tiny.provider import TinyProvider

__all__ = ["TinyProvider"]

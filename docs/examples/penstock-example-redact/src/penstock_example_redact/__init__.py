"""A step for penstock: masks e-mail addresses and telephone numbers."""

from penstock_example_redact.step import RedactSettings, RedactStep

__all__ = ["RedactSettings", "RedactStep"]

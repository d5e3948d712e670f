"""Reading the JSON object out of an answer that is not JSON, exactly where that is possible and bounded always."""

from penstock_steps.limits import Limits, NotReadableError, OutOfBoundsError
from penstock_steps.tolerant.reading import read_object

__all__ = ["Limits", "NotReadableError", "OutOfBoundsError", "read_object"]

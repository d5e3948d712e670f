"""The composition root: puts plugins and settings together, and owns the life of what they make."""

from penstock.service.many import ResultStream
from penstock.service.service import Service
from penstock.service.stream import GenerationStream

__all__ = ["GenerationStream", "ResultStream", "Service"]

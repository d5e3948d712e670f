"""Starts a plugin of penstock: `penstock new step shout` makes a whole package, and `Package` does so from Python."""

from penstock_new.kinds import KINDS, Kind
from penstock_new.names import Name
from penstock_new.package import LICENCES, Package

__all__ = ["KINDS", "LICENCES", "Kind", "Name", "Package"]

"""Usage limits, prepaid credits and reports that hold exactly across AWS regions."""

__version__ = "0.1.0"

"""Unit tests of the pure rules, module by module."""

"""Measurements, and the program that takes them: `make bench`."""

"""What is measured here, and the program that measures it: `make bench`."""

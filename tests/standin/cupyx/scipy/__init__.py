"""A stand-in for cupyx on the host; see the stand-in for CuPy."""

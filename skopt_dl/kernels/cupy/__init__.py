"""Everything that needs CuPy. Nothing here is imported before a CuPy array has been seen."""

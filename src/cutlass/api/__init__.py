"""The HTTP edge: who calls, what came in, and how answers and problems go out."""

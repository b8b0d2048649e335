"""The rules of Cutlass: pure functions over values, without I/O, clocks or randomness of their own."""

"""Protocol cores: pure values and functions, without sockets, clocks or randomness."""

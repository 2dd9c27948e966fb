//! Media shards: threads, sockets, clocks; runs the pure crates.

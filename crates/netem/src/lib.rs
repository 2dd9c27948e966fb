//! A seeded bad network in virtual time, for tests and benches.

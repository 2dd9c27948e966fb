//! Producers, consumers, history, NACK, feedback, rewriting: the forwarding plane without I/O.

//! Tests of RTCP: exact bytes, round trips, bad input.

mod bytes;
mod round_trip;

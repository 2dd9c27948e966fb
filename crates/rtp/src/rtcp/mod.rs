//! RTCP

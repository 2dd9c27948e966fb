//! ssrc

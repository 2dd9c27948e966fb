//! Media shards: threads, sockets, clocks; runs the pure crates.
//!
//! An [`Engine`] owns some threads, each with its own poller, ports, timers and routers. It is told what to do by
//! [`values::Command`]s and answers by [`values::Outbound`] values; nothing else crosses. It never hears who talks to
//! whom and why: its nouns are routers, transports, producers and consumers.

mod audio;
mod bind;
mod counters;
mod engine;
mod failure;
mod feed;
mod framing;
mod ids;
mod ingest;
mod live;
mod outbox;
mod shard;
mod sys;
mod timers;
pub mod values;

#[cfg(test)]
mod tests;

pub use bind::BindError;
pub use engine::{Engine, EngineError, SubmitError};
pub use ids::MAX_SHARDS;

//! What a connection and a listener have done.

use std::time::Duration;

/// What a connection has done. Packets are data packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Packets received, each once.
    pub received: u64,
    /// Bytes of their payloads.
    pub received_bytes: u64,
    /// Packets that came although they were there already.
    pub duplicates: u64,
    /// Packets that came marked as retransmissions.
    pub retransmissions_received: u64,
    /// Packets found missing when a later one came.
    pub lost: u64,
    /// Of them, those that came after all.
    pub recovered: u64,
    /// Packets given up because what follows was due, or because the sender had given them up.
    pub dropped: u64,
    /// Packets that came when their place had been delivered or given up.
    pub late: u64,
    /// Packets for which the window had no room.
    pub beyond: u64,
    /// Packets that could not be decrypted, or that were in clear where they may not be.
    pub undecryptable: u64,
    /// Time stamps that would have held delivery back too long.
    pub clocks_corrected: u64,
    /// Messages delivered.
    pub delivered: u64,
    /// Packets sent, each once.
    pub sent: u64,
    /// Bytes of packets sent, headers and retransmissions included.
    pub sent_bytes: u64,
    /// Retransmissions sent.
    pub retransmitted: u64,
    /// Packets given up by the sender because they were too old; those never sent included.
    pub send_dropped: u64,
    /// Of them, those that were never sent.
    pub never_sent: u64,
    /// Messages refused because the window of the sender was full.
    pub send_refused: u64,
    /// Loss reports sent.
    pub reports_sent: u64,
    /// Loss reports received.
    pub reports_received: u64,
    /// Full acknowledgements sent.
    pub acks_sent: u64,
    /// Acknowledgements received.
    pub acks_received: u64,
    /// Control packets that made no sense.
    pub malformed: u64,
    /// Control packets not sent because too many waited.
    pub control_dropped: u64,
    /// Times the peer renewed its key.
    pub keys_received: u64,
    /// Times this side's next key was confirmed.
    pub keys_sent: u64,
    /// Packets that wait for their delivery.
    pub waiting: usize,
    /// Packets missing now.
    pub missing: usize,
    /// Packets that are not acknowledged.
    pub unacknowledged: usize,
    /// The round trip.
    pub rtt: Duration,
    /// What it varies by.
    pub rtt_variance: Duration,
    /// The peer's clock against ours, in microseconds: what is left of it after steps of the base.
    pub drift_us: i64,
    /// How long what is received is held back, as agreed.
    pub latency: Duration,
    /// How long the peer holds back, as agreed.
    pub peer_latency: Duration,
}

/// What a listener has done, its connections aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListenerStats {
    /// Datagrams that are no packets.
    pub malformed: u64,
    /// Packets for connections that there are not.
    pub unknown: u64,
    /// Packets for a connection from an address that is not its peer's.
    pub strangers: u64,
    /// Requests with a cookie that is not ours, or too old.
    pub bad_cookies: u64,
    /// Requests of version 4 of the handshake, refused.
    pub too_old: u64,
    /// Requests refused, by the listener or by its driver.
    pub rejected: u64,
    /// Requests refused because too many waited for a decision.
    pub backlog: u64,
    /// Requests refused because there were as many connections as there may be.
    pub overload: u64,
    /// Requests for which no decision came in time.
    pub undecided: u64,
    /// Conclusions that came again and were answered again.
    pub repeated: u64,
    /// Connections opened.
    pub accepted: u64,
    /// Handshake answers not sent because too many waited.
    pub answers_dropped: u64,
    /// Events forgotten because nobody took them.
    pub events_dropped: u64,
}

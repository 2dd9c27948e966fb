//! Counters of one thread: written by it only, read by anyone.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::values::Report;

/// A number one thread adds to.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds one. A plain load and store, which costs less than a locked add: there is one writer.
    pub(crate) fn up(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, more: u64) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(more),
            Ordering::Relaxed,
        );
    }

    /// Takes one off.
    pub(crate) fn down(&self) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_sub(1),
            Ordering::Relaxed,
        );
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($(#[$what:meta])* $of:ident { $($(#[$doc:meta])* $name:ident,)* }) => {
        $(#[$what])*
        #[derive(Debug, Default)]
        pub(crate) struct $of {
            $($(#[$doc])* pub(crate) $name: Counter,)*
        }

        impl $of {
            /// Name and value of each.
            pub(crate) fn report(&self) -> Report {
                let mut report = Report::new();
                $(report.insert(stringify!($name).to_owned(), self.$name.get().into());)*
                report
            }
        }
    };
}

counters! {
    /// What one shard did.
    Counters {
    /// Turns of the loop.
    turns,
    /// Times the loop rested, so that more datagrams came together.
    rests,
    /// Calls that took datagrams in.
    receive_calls,
    /// Datagrams that came in.
    datagrams_received,
    /// Their bytes.
    bytes_received,
    /// Calls that sent datagrams.
    send_calls,
    /// Datagrams that went out.
    datagrams_sent,
    /// Their bytes.
    bytes_sent,
    /// Sends with more than one segment.
    gso_runs,
    /// Datagrams in those sends.
    gso_segments,
    /// Segmented sends the kernel refused, sent one by one.
    gso_refused,
    /// RTP packets given to routers.
    rtp_received,
    /// RTCP packets given to routers.
    rtcp_received,
    /// RTP packets sent to peers.
    rtp_sent,
    /// RTCP packets sent to peers.
    rtcp_sent,
    /// Datagrams of nobody known.
    dropped_unknown_source,
    /// Connectivity checks for nobody known.
    dropped_unknown_ufrag,
    /// Datagrams the transport refused (forged, malformed, replayed, too early).
    dropped_transport,
    /// RTP packets the router refused.
    dropped_rtp,
    /// RTCP packets the router refused.
    dropped_rtcp,
    /// Entries of transport-wide feedback about packets that were never sent, or were forgotten long ago.
    feedback_bogus,
    /// Packets on a plain transport from another address than the peer's.
    dropped_wrong_source,
    /// Times a plain transport followed its peer to another address.
    plain_rebinds,
    /// Sockets opened for the peers of plain transports, connected to them.
    lanes_opened,
    /// The same, refused: there are too few descriptors, or the kernel would not.
    lanes_refused,
    /// Packets on a plain transport that SRTP refused.
    dropped_srtp,
    /// What is neither RTP nor RTCP on a plain transport.
    dropped_not_media,
    /// Datagrams not sent since the socket's buffer was full.
    send_dropped_full,
    /// Datagrams not sent for another error of the socket.
    send_errors,
    /// Datagrams not sent since sealing failed.
    send_dropped_seal,
    /// Datagrams not sent since a TCP peer reads too slowly.
    send_dropped_tcp_full,
    /// Datagrams not sent since no TCP connection to the peer is left.
    send_dropped_no_connection,
    /// TCP connections taken.
    tcp_accepted,
    /// TCP connections opened for connectivity checks of a full agent.
    tcp_opened,
    /// TCP connections handed to the shard they are for.
    tcp_moved,
    /// TCP connections refused, or not opened, since too many are open or the kernel would not.
    tcp_refused,
    /// TCP connections closed for wrong framing, a wrong first packet, or silence.
    tcp_dropped,
    /// Packets handed to mixers.
    mixer_packets,
    /// Packets not handed to mixers since their thread's queue was full.
    mixer_dropped_full,
    /// Packets not handed to packagers since the live thread's queue was full.
    packager_dropped_full,
    /// Packets carried to another shard.
    pipe_packets,
    /// Packets not carried since the other shard's queue was full.
    pipe_dropped_full,
    /// Packets for pipe ends that are gone.
    pipe_dropped_unknown,
    /// Peers closed after a panic.
    peers_panicked,
    /// Commands done or refused.
    commands,
    /// Timers that fired.
    timers,
    /// Channel messages refused by a full event queue; the channel is closed then.
    messages_refused,
    /// Routers open.
    routers,
    /// Transports open.
    transports,
    /// Producers open.
    producers,
    /// Consumers open.
    consumers,
    /// Data channels open.
    channels,
    /// TCP connections open.
    tcp_connections,
    /// Longest command queue seen.
    command_queue_peak,
    }
}

counters! {
    /// What the live thread did.
    LiveCounters {
    /// Turns in which packagers were looked after.
    live_ticks,
    /// Turns that took longer than they are apart.
    live_ticks_busy,
    /// Microseconds the live thread was at work in turns.
    live_busy_us,
    /// Packets that came for packagers.
    packager_packets,
    /// Units that came whole for packagers, from ingests.
    packager_units,
    /// Tracks that came when their packager had begun.
    packager_tracks_refused,
    /// Bytes of media in memory, of all live streams (gauge).
    live_memory_bytes,
    /// Live streams with a queue that is half full and more, the others below not counted (gauge).
    packagers_elevated,
    /// Live streams with a queue that is three quarters full and more (gauge).
    packagers_high,
    /// Live streams with a queue that is nine tenths full and more (gauge).
    packagers_critical,
    /// Times the level of a live stream's queues changed.
    pressure_changes,
    /// Groups of pictures of which who codes them anew lost something or all.
    transcoder_groups_dropped,
    /// Bytes of media on disk, of all live streams (gauge).
    live_stored_bytes,
    /// Segments that were written to disk.
    segments_stored,
    /// Segments that could not be written to disk, and stayed in memory.
    segments_unstored,
    /// Bytes that were written to disk.
    stored_bytes_written,
    /// Turns in which segments waited for a place in the disk's queue.
    store_waits,
    /// Segments dropped before their time, since memory or disk were full.
    segments_forgotten,
    /// Folders that servers left behind which were killed, removed at the start.
    stored_leftovers,
    /// Packagers ended by a defect.
    packagers_panicked,
    /// Packagers ended since their media could not be packaged.
    packagers_failed,
    /// Units given to who codes them anew.
    transcoder_units_sent,
    /// Units left out since who codes them anew was not there or did not keep up.
    transcoder_units_skipped,
    /// Units that came back coded anew.
    transcoder_units_made,
    /// Connections of who codes anew that ended, or were ended since what they said cannot be read.
    transcoders_lost,
    /// Units for playouts dropped since the ingest thread's queue was full.
    play_units_dropped_full,
    /// Groups of pictures too long to be kept for playouts that join between two keyframes.
    play_groups_too_large,
    /// Keyframes that packagers asked for.
    keyframes_asked,
    /// Requests for keyframes that were dropped since the shard's queue was full.
    keyframe_requests_dropped_full,
    }
}

counters! {
    /// What the ingest thread did.
    IngestCounters {
    /// Publishers there are.
    ingests,
    /// Streams they publish, or did until a moment ago.
    ingest_streams,
    /// Times somebody asked to publish.
    publishers_asked,
    /// Times somebody may.
    publishers_accepted,
    /// Times somebody may not.
    publishers_refused,
    /// Times nobody answered the question whether somebody may.
    publishers_unanswered,
    /// Playouts there are.
    playouts,
    /// Times somebody asked for a stream to be played out.
    playouts_asked,
    /// Times it was.
    playouts_accepted,
    /// Times it was not.
    playouts_refused,
    /// Bytes that playouts were given.
    playout_bytes,
    /// Units that playouts were not given, since whoever reads does not keep up.
    playout_units_dropped,
    /// Groups of pictures of which playouts lost something or all.
    playout_groups_dropped,
    /// Packets of playouts given up since they were too old.
    playout_packets_dropped,
    /// Answers to questions that nobody has.
    answers_ignored,
    /// Bytes of publishers.
    ingest_bytes,
    /// Tracks of publishers that their streams do not carry.
    ingest_tracks_refused,
    /// Units dropped since the live thread's queue was full.
    units_dropped_full,
    /// Groups of pictures of which something or all was lost that way.
    groups_dropped_full,
    /// Publishers that are slowed down (gauge).
    ingests_slowed,
    /// Times a publisher was slowed down.
    ingest_slowdowns,
    /// Times that was given up, since it did not help.
    ingest_slowdowns_given_up,
    /// Packets that routers were fed.
    fed_packets,
    /// Packets for routers dropped since the shard's queue was full.
    fed_dropped_full,
    /// Units of which no packets can be made.
    units_unsendable,
    /// Groups of pictures too long to be kept for who comes between two keyframes.
    gops_too_large,
    /// Datagrams at ports of SRT that are no packets.
    dropped_srt_malformed,
    /// Packets at ports of SRT for connections that there are not.
    dropped_srt_unknown,
    /// Packets for connections of SRT from elsewhere than their peer.
    dropped_srt_strangers,
    /// Requests at ports of SRT whose cookie is not ours, or too old.
    dropped_srt_cookies,
    /// Requests at ports of SRT that were refused: by who decides, for their passphrase, their version, or too many.
    srt_rejected,
    /// Datagrams at ports of RTP that no input takes.
    dropped_rtp_strangers,
    /// Datagrams at ports of RTP that are neither RTP nor RTCP nor MPEG-TS.
    dropped_rtp_malformed,
    /// Packets of payload types that an input has no use for, JPEG XS for one.
    dropped_rtp_unused,
    /// Connections closed since too many are open.
    ingest_connections_refused,
    /// Callers at ports of RTMPS that did not encrypt, refused.
    ingest_connections_bare,
    /// Errors of sockets.
    ingest_sockets_failed,
    /// Errors of the poller.
    ingest_polls_failed,
    }
}

counters! {
    /// What one audio thread did.
    AudioCounters {
    /// Steps of an audio thread.
    audio_ticks,
    /// Steps that took over half their time.
    audio_ticks_busy,
    /// Times an audio thread was so late that its clock began anew.
    audio_halts,
    /// Microseconds an audio thread was at work in steps.
    audio_busy_us,
    /// Mixers ended by a defect.
    mixers_panicked,
    /// Packets that mixers gave out.
    mixed_packets,
    /// Packets of mixers that were dropped since the shard's queue was full.
    mixed_dropped_full,
    /// Keys pressed that were told to nobody since the event queue was full.
    digits_refused,
    }
}

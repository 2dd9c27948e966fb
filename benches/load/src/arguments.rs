//! The command line.

use std::net::{IpAddr, Ipv4Addr};

use crate::traffic::{Load, Shape};

/// What to do, for how long, against whom.
pub(crate) struct Arguments {
    /// WHIP endpoint; of a grid `{n}` in it is the number of the peer, here and in the next.
    pub(crate) publish: String,
    /// WHEP endpoint.
    pub(crate) play: String,
    /// Bearer tokens.
    pub(crate) publish_bearer: String,
    /// Token of the viewers.
    pub(crate) play_bearer: String,
    /// Number of viewers.
    pub(crate) viewers: usize,
    /// Measured seconds.
    pub(crate) seconds: u64,
    /// Seconds between the last join and the measurement.
    pub(crate) warm: u64,
    /// The server's process.
    pub(crate) pid: u32,
    /// Address of the load peers.
    pub(crate) ip: IpAddr,
    /// Viewers whose packets are decrypted, as proof that the media is right.
    pub(crate) full: usize,
    /// What the publisher sends.
    pub(crate) load: Load,
    /// Offer AES-CM with HMAC-SHA1 only, not GCM.
    pub(crate) counter_mode: bool,
    /// Viewers take runs of datagrams whole (`UDP_GRO`).
    pub(crate) gro: bool,
    /// Name for the output.
    pub(crate) name: String,
}

/// Usage, one line.
pub(crate) const USAGE: &str = "roomtone-load --publish WHIP_URL --play WHEP_URL [--viewers N] [--seconds S] [--warm S] [--pid PID] [--ip A] [--full K] \
[--srtp gcm|cm] [--gro on|off] [--shape filled|split|audio|grid] [--packet BYTES] [--bps N] [--audio-bytes N] [--publish-bearer T] [--play-bearer T] [--name NAME]";

impl Arguments {
    /// Parses the words after the program's name.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut all = Self {
            publish: String::new(),
            play: String::new(),
            publish_bearer: String::new(),
            play_bearer: String::new(),
            viewers: 50,
            seconds: 15,
            warm: 3,
            pid: 0,
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            full: 1,
            load: Load {
                shape: Shape::Filled,
                packet: 1100,
                video_bps: 1_150_000,
                audio_bytes: 120,
            },
            counter_mode: false,
            gro: true,
            name: String::new(),
        };
        while let Some(word) = words.next() {
            let value = words
                .next()
                .ok_or_else(|| format!("{word} takes a value"))?;
            let number = || {
                value
                    .parse::<usize>()
                    .map_err(|e| format!("{word} {value}: {e}"))
            };
            match word.as_str() {
                "--publish" => all.publish.clone_from(&value),
                "--play" => all.play.clone_from(&value),
                "--publish-bearer" => all.publish_bearer.clone_from(&value),
                "--play-bearer" => all.play_bearer.clone_from(&value),
                "--name" => all.name.clone_from(&value),
                "--viewers" => all.viewers = number()?,
                "--seconds" => all.seconds = number()? as u64,
                "--warm" => all.warm = number()? as u64,
                "--pid" => all.pid = number()? as u32,
                "--full" => all.full = number()?,
                "--packet" => all.load.packet = number()?.clamp(32, 1300),
                "--bps" => all.load.video_bps = number()?,
                "--audio-bytes" => all.load.audio_bytes = number()?.clamp(1, 1300),
                "--srtp" => {
                    all.counter_mode = match value.as_str() {
                        "gcm" => false,
                        "cm" => true,
                        _ => return Err(format!("--srtp {value}: gcm or cm")),
                    }
                }
                "--gro" => {
                    all.gro = match value.as_str() {
                        "on" => true,
                        "off" => false,
                        _ => return Err(format!("--gro {value}: on or off")),
                    }
                }
                "--ip" => all.ip = value.parse().map_err(|e| format!("--ip {value}: {e}"))?,
                "--shape" => {
                    all.load.shape = match value.as_str() {
                        "filled" => Shape::Filled,
                        "split" => Shape::Split,
                        "audio" => Shape::AudioOnly,
                        "grid" => Shape::Grid,
                        _ => return Err(format!("--shape {value}: filled, split, audio or grid")),
                    }
                }
                _ => return Err(format!("unknown option {word}")),
            }
        }
        if all.publish.is_empty() || all.play.is_empty() || all.seconds == 0 {
            return Err("--publish, --play and a positive --seconds are needed".to_owned());
        }
        if !all.ip.is_loopback() {
            return Err(format!("--ip {}: this load stays on loopback", all.ip));
        }
        Ok(all)
    }
}

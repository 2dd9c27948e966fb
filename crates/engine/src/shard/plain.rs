//! Commands about plain transports.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use roomtone_sfu::TransportParams;
use roomtone_srtp::{MasterKey, Opener, Profile, Sealer};

use super::Shard;
use super::commands::{Answered, DONE};
use super::latch::Latch;
use super::objects::{Carrier, GivenKeys, Plain, Token};
use super::plain_dtls::PlainDtls;
use super::translate::told_fingerprint;
use crate::bind::{BindError, mark};
use crate::failure::Failure;
use crate::ids;
use crate::values::{Command, CommandResult, ErrorCode, Event, SrtpKeys};

/// How long an address may have to be silent before its stream is followed, in milliseconds.
const REBIND_SILENCE_MS: RangeInclusive<u32> = 100..=60_000;
/// Six bits (RFC 2474 section 3).
const MAX_DSCP: u8 = 63;

impl Shard {
    pub(super) fn open_plain(&mut self, command: Command) -> Answered {
        let Command::OpenPlainTransport {
            router,
            listen_ip,
            rtcp_mux,
            latching,
            rebind_silence_ms,
            srtp,
            secure,
            dtls,
            dscp,
            extended_reports,
            cname,
        } = command
        else {
            return Err(Failure::invalid("not an open plain transport command"));
        };
        let router = self.router(router)?;
        let ip: IpAddr = listen_ip
            .parse()
            .map_err(|_| Failure::invalid("listen_ip is no IP address"))?;
        if !REBIND_SILENCE_MS.contains(&rebind_silence_ms) {
            return Err(Failure::invalid("rebind_silence_ms is 100 to 60000"));
        }
        if dscp.is_some_and(|dscp| dscp > MAX_DSCP) {
            return Err(Failure::invalid("dscp is 0 to 63"));
        }
        if dtls && (secure || srtp.is_some()) {
            return Err(Failure::invalid("SRTP keys come by DTLS or by hand"));
        }
        let certificate = &self.shared.certificate;
        let fingerprints = dtls.then(|| told_fingerprint(certificate));
        let dtls = dtls.then(|| Box::new(PlainDtls::new(certificate.clone(), !rtcp_mux)));
        let mut keys = GivenKeys::default();
        let mut sealer = None;
        if let Some(given) = &srtp {
            take_sealer(given, &mut keys, &mut sealer)?;
        }
        self.admit_transport()?;
        let opened = self
            .plain_ports
            .open(ip, !rtcp_mux)
            .map_err(|error| no_port(&error));
        let inserted = opened.and_then(|((rtp, rtp_local), rtcp)| {
            if let Some(dscp) = dscp {
                let sockets = std::iter::once(&rtp).chain(rtcp.as_ref().map(|(socket, _)| socket));
                for socket in sockets {
                    mark(socket, rtp_local, dscp).map_err(|error| unmarkable(&error))?;
                }
            }
            let local = (
                rtp_local.port(),
                rtcp.as_ref().map_or(rtp_local.port(), |(_, at)| at.port()),
            );
            let carrier = Carrier::Plain(Box::new(Plain {
                rtp,
                rtp_local,
                latch: Latch::new(
                    latching,
                    rtcp.is_some(),
                    Duration::from_millis(rebind_silence_ms.into()),
                ),
                rtcp,
                lane: None,
                steady: 0,
                read_in: [0; 3],
                takes_runs: [false; 3],
                dscp,
                secure: secure || sealer.is_some() || dtls.is_some(),
                given: keys,
                sealer,
                opener: None,
                dtls,
                rtcp_keys: None,
            }));
            let id = ids::allocate(self.index);
            let params = TransportParams {
                rtcp_cname: cname,
                // Its peer was given a line for what it asked for.
                unlimited: true,
                extended_reports,
                reflections: true,
                ..TransportParams::default()
            };
            let slot = self.insert_transport(id, router, carrier, params)?;
            self.watch_plain(slot)?;
            Ok(CommandResult::PlainTransportOpened {
                transport: id,
                ip: listen_ip,
                port: local.0,
                rtcp_port: local.1,
                fingerprints: fingerprints.into_iter().collect(),
            })
        });
        if inserted.is_err() {
            self.retract_transport();
        }
        inserted.map(Some)
    }

    fn watch_plain(&mut self, slot: usize) -> Result<(), Failure> {
        let Carrier::Plain(plain) = &self.transports[slot].carrier else {
            return Ok(());
        };
        let rtp = self.poller.add(&plain.rtp, Token::PlainRtp(slot).into());
        let rtcp = plain
            .rtcp
            .as_ref()
            .map(|(socket, _)| self.poller.add(socket, Token::PlainRtcp(slot).into()));
        rtp.and(rtcp.unwrap_or(Ok(()))).map_err(|error| {
            Failure::new(
                ErrorCode::Internal,
                format!("cannot watch the socket: {error}"),
            )
        })
    }

    pub(super) fn connect_plain(&mut self, command: Command) -> Answered {
        let Command::ConnectPlainTransport {
            transport,
            ip,
            port,
            rtcp_port,
            srtp,
            local_srtp,
            dtls,
        } = command
        else {
            return Err(Failure::invalid("not a connect plain transport command"));
        };
        let slot = self.transport(transport)?;
        let now = self.now;
        let until = now + Duration::from_millis(self.shared.config.ice_timeout_ms);
        let Carrier::Plain(plain) = &mut self.transports[slot].carrier else {
            return Err(Failure::invalid("not a plain transport"));
        };
        let remote = match port {
            0 if plain.latch.learns() => None,
            0 => {
                return Err(Failure::invalid(
                    "port 0 needs a transport that learns its peer's address",
                ));
            }
            port => {
                let ip: IpAddr = ip
                    .parse()
                    .map_err(|_| Failure::invalid("ip is no IP address"))?;
                if ip.is_ipv4() != plain.rtp_local.is_ipv4() {
                    return Err(Failure::invalid(
                        "the transport listens on the other IP version",
                    ));
                }
                Some(SocketAddr::new(ip, port))
            }
        };
        if plain.dtls.is_some() {
            if srtp.is_some() || local_srtp.is_some() {
                return Err(Failure::invalid("the transport has its keys by DTLS"));
            }
            let to = remote.or(plain.latch.remote());
            plain.check_dtls(dtls.as_ref(), to)?;
        } else if dtls.is_some() {
            return Err(Failure::invalid("the transport was opened without DTLS"));
        } else {
            plain.take_keys(local_srtp.as_ref(), srtp.as_ref())?;
        }
        if let Some(remote) = remote {
            plain.latch.set_remote(remote, rtcp_port);
            plain.check_lane();
        }
        match &dtls {
            Some(parameters) => plain.name_peer(parameters, now, until)?,
            None => plain.begin(now),
        }
        self.update_repeats(slot);
        self.update_writable(slot);
        self.touch_transport(slot);
        DONE
    }

    /// A plain transport has learnt where its peer is.
    pub(super) fn tell_learnt(&mut self, slot: usize, remote: SocketAddr) {
        let transport = self.transports[slot].id;
        self.events.push(Event::RemoteLearnt {
            transport,
            remote: remote.to_string(),
        });
        self.update_writable(slot);
    }
}

fn unmarkable(error: &std::io::Error) -> Failure {
    Failure::new(
        ErrorCode::Unsupported,
        format!("packets cannot be marked here: {error}"),
    )
}

fn no_port(error: &BindError) -> Failure {
    let code = match &error {
        BindError::NoPort { .. } => ErrorCode::NoPort,
        BindError::System { error, .. } if error.kind() == std::io::ErrorKind::AddrNotAvailable => {
            ErrorCode::Invalid
        }
        BindError::System { .. } => ErrorCode::Internal,
    };
    Failure::new(code, error.to_string())
}

fn master(keys: &SrtpKeys) -> Result<(Profile, MasterKey), Failure> {
    let profile = Profile::from_sdes_name(&keys.suite)
        .ok_or_else(|| Failure::unsupported(format!("unknown SRTP suite {}", keys.suite)))?;
    let master = MasterKey::from_concatenated(profile, &keys.key)
        .map_err(|e| Failure::invalid(e.to_string()))?;
    Ok((profile, master))
}

/// Takes our keys into use. The same keys again change nothing: numbering goes on under them. New ones of the same suite
/// begin a new context, as both sides do when a key has changed (RFC 4568 section 7.1.4).
fn take_sealer(
    keys: &SrtpKeys,
    given: &mut GivenKeys,
    sealer: &mut Option<Sealer>,
) -> Result<(), Failure> {
    let (profile, master) = master(keys)?;
    if sealer.is_some() && given.ours == Some((profile, master.clone())) {
        return Ok(());
    }
    *sealer = Some(Sealer::new(profile, &master).map_err(|e| Failure::invalid(e.to_string()))?);
    given.ours = Some((profile, master));
    Ok(())
}

/// Takes the peer's keys into use, as `take_sealer` does ours.
fn take_opener(
    keys: &SrtpKeys,
    given: &mut GivenKeys,
    opener: &mut Option<Opener>,
) -> Result<(), Failure> {
    let (profile, master) = master(keys)?;
    if opener.is_some() && given.theirs == Some((profile, master.clone())) {
        return Ok(());
    }
    *opener = Some(Opener::new(profile, &master).map_err(|e| Failure::invalid(e.to_string()))?);
    given.theirs = Some((profile, master));
    Ok(())
}

impl Plain {
    /// Takes new keys of either side; afterwards both sides have some, or nothing has changed.
    fn take_keys(
        &mut self,
        ours: Option<&SrtpKeys>,
        theirs: Option<&SrtpKeys>,
    ) -> Result<(), Failure> {
        if !self.secure {
            return match (ours, theirs) {
                (None, None) => Ok(()),
                _ => Err(Failure::invalid("the transport was opened without SRTP")),
            };
        }
        if ours.is_none() && self.sealer.is_none() {
            return Err(Failure::invalid("our SRTP keys are missing"));
        }
        if theirs.is_none() && self.opener.is_none() {
            return Err(Failure::invalid("the peer's SRTP keys are missing"));
        }
        // Both are looked at before either is taken.
        for keys in ours.into_iter().chain(theirs) {
            master(keys)?;
        }
        if let Some(keys) = ours {
            take_sealer(keys, &mut self.given, &mut self.sealer)?;
        }
        if let Some(keys) = theirs {
            take_opener(keys, &mut self.given, &mut self.opener)?;
        }
        Ok(())
    }
}

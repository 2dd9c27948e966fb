//! Commands about plain transports.

use std::net::{IpAddr, SocketAddr};

use roomtone_sfu::TransportParams;
use roomtone_srtp::{MasterKey, Opener, Profile, Sealer};

use super::Shard;
use super::commands::{Answered, DONE};
use super::objects::{Carrier, Plain, Token};
use crate::bind::BindError;
use crate::failure::Failure;
use crate::ids;
use crate::values::{Command, CommandResult, ErrorCode, Event, SrtpKeys};

impl Shard {
    pub(super) fn open_plain(&mut self, command: Command) -> Answered {
        let Command::OpenPlainTransport {
            router,
            listen_ip,
            rtcp_mux,
            learn_remote,
            srtp,
            cname,
        } = command
        else {
            return Err(Failure::invalid("not an open plain transport command"));
        };
        let router = self.router(router)?;
        let ip: IpAddr = listen_ip
            .parse()
            .map_err(|_| Failure::invalid("listen_ip is no IP address"))?;
        let sealer = srtp.as_ref().map(sealer).transpose()?;
        self.admit_transport()?;
        let opened = self
            .plain_ports
            .open(ip, !rtcp_mux)
            .map_err(|error| no_port(&error));
        let inserted = opened.and_then(|((rtp, rtp_local), rtcp)| {
            let local = (
                rtp_local.port(),
                rtcp.as_ref().map_or(rtp_local.port(), |(_, at)| at.port()),
            );
            let carrier = Carrier::Plain(Box::new(Plain {
                rtp,
                rtp_local,
                rtcp,
                learn: learn_remote,
                remote: None,
                rtcp_remote: None,
                rtcp_certain: false,
                secure: sealer.is_some(),
                sealer,
                opener: None,
            }));
            let id = ids::allocate(self.index);
            let params = TransportParams {
                rtcp_cname: cname,
                // Its peer was given a line for what it asked for.
                unlimited: true,
                ..TransportParams::default()
            };
            let slot = self.insert_transport(id, router, carrier, params)?;
            self.watch_plain(slot)?;
            Ok(CommandResult::PlainTransportOpened {
                transport: id,
                ip: listen_ip,
                port: local.0,
                rtcp_port: local.1,
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
        } = command
        else {
            return Err(Failure::invalid("not a connect plain transport command"));
        };
        let slot = self.transport(transport)?;
        let Carrier::Plain(plain) = &mut self.transports[slot].carrier else {
            return Err(Failure::invalid("not a plain transport"));
        };
        let remote = match port {
            0 if plain.learn => None,
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
        match (&srtp, plain.secure, &plain.opener) {
            (Some(_), false, _) => {
                return Err(Failure::invalid("the transport was opened without SRTP"));
            }
            (None, true, None) => return Err(Failure::invalid("the peer's SRTP keys are missing")),
            _ => {}
        }
        if let Some(keys) = &srtp {
            plain.opener = Some(opener(keys)?);
        }
        if let Some(remote) = remote {
            plain.set_remote(remote, rtcp_port);
        }
        self.update_writable(slot);
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

fn sealer(keys: &SrtpKeys) -> Result<Sealer, Failure> {
    let (profile, master) = master(keys)?;
    Sealer::new(profile, &master).map_err(|e| Failure::invalid(e.to_string()))
}

fn opener(keys: &SrtpKeys) -> Result<Opener, Failure> {
    let (profile, master) = master(keys)?;
    Opener::new(profile, &master).map_err(|e| Failure::invalid(e.to_string()))
}

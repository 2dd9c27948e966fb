//! What two sides agree on in a conclusion (draft-sharabayko-srt section 4.3).

use crate::config::ConnectionConfig;
use crate::connection::Agreed;
use crate::crypto::Crypto;
use crate::handshake::{
    Extensions, Handshake, HsExtension, LIBRARY_VERSION, OLDEST_LIBRARY, flags,
};
use crate::keys::{CipherMode, KeyHeader, Passphrase};
use crate::reject::RejectReason;
use crate::seq::Seq;

/// The size of an Ethernet frame, which handshakes name.
pub(crate) const MTU: u32 = 1500;
/// Smallest frame that anybody may ask for.
const LEAST_MTU: u32 = 116;
/// The newest library whose nonces of Galois counter mode come twice under one key: it is not spoken to in that mode.
const REPEATS_NONCES: u32 = 0x0001_0503;

/// What this side says of itself.
pub(crate) fn own_extension(config: &ConnectionConfig) -> HsExtension {
    let drops = if config.too_late_drop {
        flags::TOO_LATE_DROP
    } else {
        0
    };
    HsExtension {
        version: LIBRARY_VERSION,
        flags: flags::TSBPD_SEND
            | flags::TSBPD_RECEIVE
            | flags::CRYPT
            | flags::PERIODIC_NAK
            | flags::RETRANSMIT_MARK
            | drops,
        receive_delay: config.latency_ms(),
        send_delay: config.peer_latency_ms(),
    }
}

/// Whether what the other side says of itself can be lived with.
fn check(extension: &HsExtension) -> Result<(), RejectReason> {
    if extension.version < OLDEST_LIBRARY {
        return Err(RejectReason::Version);
    }
    if extension.flags & flags::STREAM != 0 {
        return Err(RejectReason::MessageApi);
    }
    Ok(())
}

/// The greater wish counts, in both directions.
fn agree(
    handshake: &Handshake,
    extension: &HsExtension,
    config: &ConnectionConfig,
    first_out: Seq,
    timestamp: u32,
    crypto: Option<Crypto>,
) -> Result<Agreed, RejectReason> {
    if handshake.mtu < LEAST_MTU || handshake.socket == 0 {
        return Err(RejectReason::Rogue);
    }
    if let Some(crypto) = &crypto
        && crypto.mode() == CipherMode::Gcm
        && extension.version <= REPEATS_NONCES
    {
        return Err(RejectReason::Crypto);
    }
    let has = |flag: u32| extension.flags & flag != 0;
    let wish = |flag: u32, delay: u16| if has(flag) { delay } else { 0 };
    let theirs = wish(flags::TSBPD_SEND, extension.send_delay);
    let own = wish(flags::TSBPD_RECEIVE, extension.receive_delay);
    Ok(Agreed {
        peer_socket: handshake.socket,
        first_out,
        first_in: handshake.first,
        peer_window: handshake.window,
        peer_mtu: handshake.mtu.min(MTU),
        latency_ms: config.latency_ms().max(theirs),
        peer_latency_ms: config.peer_latency_ms().max(own),
        timed: has(flags::TSBPD_SEND),
        peer_drops: has(flags::TOO_LATE_DROP) && has(flags::TSBPD_RECEIVE),
        timestamp,
        crypto,
    })
}

/// Whether a request can be accepted by anybody, before anybody is asked.
pub(crate) fn admit(handshake: &Handshake, request: &Extensions) -> Result<(), RejectReason> {
    check(&request.request.ok_or(RejectReason::Rogue)?)?;
    request.check()?;
    if handshake.mtu < LEAST_MTU || handshake.socket == 0 {
        return Err(RejectReason::Rogue);
    }
    Ok(())
}

/// The responder's side: takes a request, gives what was agreed and the extensions of the answer.
pub(crate) fn respond(
    handshake: &Handshake,
    request: &Extensions,
    config: &ConnectionConfig,
    passphrase: Option<Passphrase>,
    first_out: Seq,
    timestamp: u32,
) -> Result<(Agreed, Extensions), RejectReason> {
    admit(handshake, request)?;
    let extension = request.request.ok_or(RejectReason::Rogue)?;
    let crypto = match (&request.km_request, passphrase) {
        (None, None) => None,
        (Some(message), Some(passphrase)) => {
            Some(Crypto::respond(passphrase, message, config.key_refresh)?)
        }
        _ => return Err(RejectReason::Unsecure),
    };
    let agreed = agree(handshake, &extension, config, first_out, timestamp, crypto)?;
    let response = HsExtension {
        receive_delay: agreed.latency_ms,
        send_delay: agreed.peer_latency_ms,
        ..own_extension(config)
    };
    let extensions = Extensions {
        response: Some(response),
        // The same message says that its keys have been taken.
        km_response: request.km_request.clone(),
        ..Extensions::default()
    };
    Ok((agreed, extensions))
}

/// The initiator's side: takes the answer to its request. `keys` are those that the request carried, with their message.
pub(crate) fn conclude(
    handshake: &Handshake,
    response: &Extensions,
    config: &ConnectionConfig,
    keys: Option<(Crypto, Vec<u8>)>,
    first_out: Seq,
    timestamp: u32,
) -> Result<Agreed, RejectReason> {
    let extension = response.response.ok_or(RejectReason::Rogue)?;
    check(&extension)?;
    response.check()?;
    let crypto = match (&response.km_response, keys) {
        (None, None) => None,
        (Some(answer), Some((crypto, message))) if *answer == message => Some(crypto),
        (Some(answer), Some(_)) => return Err(refusal(answer)),
        _ => return Err(RejectReason::Unsecure),
    };
    agree(handshake, &extension, config, first_out, timestamp, crypto)
}

/// Why keys were not taken: one word where others have a message.
fn refusal(answer: &[u8]) -> RejectReason {
    match answer {
        [0, 0, 0, 4] => RejectReason::BadSecret,
        [0, 0, 0, 5] => RejectReason::Crypto,
        [0, 0, 0, _] => RejectReason::Unsecure,
        _ => RejectReason::Rogue,
    }
}

/// How a request is encrypted, as its keying material says without its passphrase.
pub(crate) fn encryption(request: &Extensions) -> Option<crate::Encryption> {
    let header = KeyHeader::parse(request.km_request.as_deref()?).ok()?;
    Some(crate::Encryption {
        mode: header.mode,
        length: header.length,
    })
}

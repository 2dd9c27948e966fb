//! One WebRTC peer's transport: ICE, DTLS, SRTP keys, SCTP data channels; no I/O.

//! RTP, RTCP, header extensions, payload descriptors, payload types: wire types without I/O.

//! SRTP and SRTCP: AES-CM and GCM, in place.

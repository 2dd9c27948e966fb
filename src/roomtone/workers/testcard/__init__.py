"""A test publisher: a picture with a running clock and a tone, sent as plain RTP."""

"""What is shown of a live stream whose encoder is away, sent as by an encoder (needs PyAV, as ``transcode`` has it)."""

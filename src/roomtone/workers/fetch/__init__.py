"""A live stream of another server's HLS, published here by RTMP (needs PyAV, as the extra ``transcode`` has it)."""

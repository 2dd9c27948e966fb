"""The test card as an encoder sends it: H.264 and AAC by RTMP (needs the extra ``testcard``)."""

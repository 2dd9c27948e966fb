"""A track coded anew for the engine: a ladder of pictures, or another codec of sound (extra ``transcode``)."""

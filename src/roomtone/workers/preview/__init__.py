"""A picture out of a keyframe."""

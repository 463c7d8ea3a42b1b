"""Compress and decompress, within limits; each module is one codec, or one thing all codecs share."""

"""Files inside a given folder: hash, split, merge, detect, describe; each module is one of these."""

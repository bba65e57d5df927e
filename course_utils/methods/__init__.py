"""One paper a file, where two lessons share it."""

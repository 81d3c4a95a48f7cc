"""One folder for each pipeline; the registry finds them by itself."""

"""Label Studio: a local server, mask sets pushed to it and pulled from it, its JSON files."""

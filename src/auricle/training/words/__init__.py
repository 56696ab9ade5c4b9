"""Training of recurrent language models: what they read, the network, the run, the file."""

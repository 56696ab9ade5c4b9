"""Training the restorer of capitals and punctuation: needs the extra `train`."""

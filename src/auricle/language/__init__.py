"""From text to a language model: sentences, what to leave out of them, Kneser-Ney estimation, ARPA files."""

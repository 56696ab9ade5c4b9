"""Carrying auricle to AWS Lambda: a zip of everything it needs, and the stack around it."""

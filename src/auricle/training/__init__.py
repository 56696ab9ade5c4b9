"""Training and export: needs the extra `train` (PyTorch, Lightning, lhotse, ONNX)."""

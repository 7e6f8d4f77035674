"""`onnx:FOLDER`: models exported to ONNX, in the layout that they have on the Hugging Face hub."""

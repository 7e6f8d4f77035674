"""The bundled emoji and `huse demo`, which runs every stage on them."""

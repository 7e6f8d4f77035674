"""One HDF5 file of rows: its columns, its layout in both format versions, and its digests."""

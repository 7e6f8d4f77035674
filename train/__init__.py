"""Stage 2: cached vectors train the shared towers. Never imports the encoders of stage 1."""

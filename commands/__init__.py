"""The commands of `huse`, one file each: options in, one call, a table or --json out."""

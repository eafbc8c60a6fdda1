"""Weight decay, corrected for scale."""

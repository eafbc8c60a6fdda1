"""What trials on copies show of a decay."""

"""What trials on copies tell about a decay."""

"""The question itself: its claims checked live, its studies, and one answer."""

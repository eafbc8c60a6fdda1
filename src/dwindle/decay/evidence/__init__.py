"""What is known of the best decay over scale: measured exponents and published runs."""

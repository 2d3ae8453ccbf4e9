"""What is asked about an image."""

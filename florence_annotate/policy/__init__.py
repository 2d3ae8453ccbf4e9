"""What is kept of what the model said, and why the rest is dropped."""

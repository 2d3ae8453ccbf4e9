"""What people give for each image."""

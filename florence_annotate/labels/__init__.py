"""What people give for each image: texts by its name, and boxes that exist already."""

"""A job to look at, as a page that a browser opens without a server: figures, charts, and all
images with what was found on them."""

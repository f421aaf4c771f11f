"""What is asked of a request beyond policy: one folder for each feature."""

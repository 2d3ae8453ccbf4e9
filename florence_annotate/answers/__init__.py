"""What the model said → instances and captions."""

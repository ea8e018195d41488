"""Rules that move along gradients of batches: one small class each."""

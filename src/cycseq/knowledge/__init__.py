"""What is known of genes and contexts beside the measured responses."""

"""What three models or more share: layers, graph building, the training loop."""

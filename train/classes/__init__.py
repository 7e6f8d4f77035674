"""What is known about the classes: their semantic graph, their tree, and labels that belong to none."""

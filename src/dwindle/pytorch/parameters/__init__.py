"""What the parameters of a model are for, by their layers and shapes."""

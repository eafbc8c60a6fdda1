"""What the parameters of a model are for, told by layers and shapes."""

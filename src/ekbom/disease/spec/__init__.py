"""The declarative source of the model: block files, references, steady state."""

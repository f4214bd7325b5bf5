"""The executable model of the disease: iron, dopamine, opioids, cord, clock, treatment."""

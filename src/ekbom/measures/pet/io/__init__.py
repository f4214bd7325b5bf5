"""Files of dynamic PET and blood, as they are found in the wild."""

"""Reading and writing the tables of this room."""

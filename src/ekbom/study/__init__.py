"""What is on disk: index, tables, the plan, derivative names, the store, the runner."""

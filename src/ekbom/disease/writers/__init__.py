"""Products of the declarative source: compiled right-hand side, SBML, documentation."""

"""ekbom: restless-legs research from raw measurements to brain-wide answers."""

__version__ = "0.1.0"

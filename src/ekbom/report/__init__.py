"""One HTML file from an output folder: answers first, then everything behind them.

Nothing is computed here that the rooms before have not computed; what the
figures add to the data (means, lines, bands) follows the tables beside them.
"""

from ekbom.report.page import render

__all__ = ["render"]

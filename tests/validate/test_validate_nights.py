import numpy as np
import pytest

from ekbom.report.evidence import intervals_figure
from ekbom.validate.nights import EDGES, _density, lengths


def test_intervals_of_patients_have_the_printed_shape():
    checks, table = lengths(patients=12, seed=1)
    found = {c.name: c.value for c in checks}
    assert found["intervals: density of 15 to 30 s over 30 to 90 s, patients"] > 3
    assert found["intervals: density of 2 to 8 s over 8 to 10 s, patients"] > 1
    assert found["intervals: of 15 to 30 s a night, patients over young controls"] > 2
    assert 0.75 < found["periodicity index (Ferri 2006), patients with more than 15/h"] < 0.95
    assert not any(c.gated for c in checks)
    assert len(table) == len(EDGES) - 1
    svg = intervals_figure(table)
    assert svg.startswith("<svg")
    assert "printed peak" in svg


def test_a_bin_that_an_edge_cuts_counts_by_its_part():
    _, table = lengths(patients=1, seed=1)
    table["patients"] = 4.0  # four in every 2 s
    for low, high in ((15, 30), (2, 8), (30, 90), (7, 8)):
        assert _density(table, "patients", low, high) == pytest.approx(2.0)
    table["patients"] = np.where(table["from_s"] == 14, 6.0, 0.0)
    assert _density(table, "patients", 15, 30) == pytest.approx(3 / 15)

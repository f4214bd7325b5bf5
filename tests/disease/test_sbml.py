import numpy as np
import pytest

from ekbom.disease.model import load
from ekbom.disease.simulate import Cohort, Event, simulate
from ekbom.disease.writers.sbml import sbml
from ekbom.errors import Refused

DOSES = [(20.0, "l_gut", 100.0), (21.0, "g_gut", 0.5), (32.0, "o_gut", 10.0)]


def test_no_error_and_no_warning():
    libsbml = pytest.importorskip("libsbml")
    document = libsbml.readSBMLFromString(sbml(load(), doses=DOSES))
    document.setConsistencyChecks(libsbml.LIBSBML_CAT_UNITS_CONSISTENCY, True)
    document.checkConsistency()
    found = [document.getError(i).getMessage() for i in range(document.getNumErrors())]
    assert found == []
    model = document.getModel()
    assert model.getNumRules() == len(load().states) + len(load().assigns) + len(load().readouts)
    assert model.getElementBySId("cda").getNumCVTerms() == 1
    assert all(model.getParameter(i).getUnits() for i in range(model.getNumParameters()))


def test_another_simulator_agrees():
    roadrunner = pytest.importorskip("roadrunner")
    model = load()
    ids = [s.id for s in model.states]
    rng = np.random.default_rng(3)
    n, hours = 4, 48
    params = {"q_bbb": np.exp(0.3 * rng.normal(size=n)), "g0": rng.normal(-2, 1, n)}
    run = simulate(Cohort(n, params), hours, events=[Event(*d) for d in DOSES], rtol=1e-8)
    for i in range(n):
        own = {k: float(v[i]) for k, v in params.items()}
        other = roadrunner.RoadRunner(sbml(model, own, doses=DOSES))
        other.timeCourseSelections = ids
        for key, value in (("relative_tolerance", 1e-8), ("absolute_tolerance", 1e-12),
                           ("maximum_time_step", 1.0)):  # fmt: skip
            other.integrator.setValue(key, value)
        b = np.asarray(other.simulate(0, hours, hours + 1))
        keep = np.setdiff1d(np.arange(hours + 1), [int(d[0]) for d in DOSES])
        a, b = run.states[i][keep], b[keep]
        floor = np.abs(b) + 1e-3 * np.abs(b).max(axis=0)
        assert np.max(np.abs(a - b) / np.where(floor > 0, floor, 1)) < 1e-4


def test_an_unknown_name_is_refused():
    with pytest.raises(Refused):
        sbml(load(), {"nothing": 1.0})
    with pytest.raises(Refused):
        sbml(load(), doses=[(1.0, "nothing", 2.0)])

"""What is run on what: a section a table, with the settings that each peer's documentation or authors use."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from benchmarks.calibration.reference import CASES


@dataclass(frozen=True)
class Method:
    """A function of `methods` or `peers`, its settings, and smaller ones with which it is warmed up."""

    name: str
    module: str
    function: str
    options: dict[str, Any] = field(default_factory=dict)
    warm: dict[str, Any] = field(default_factory=dict)
    records_as: str = ""
    """Keep as many records as the method of this name kept just before."""

    @property
    def package(self) -> str:
        """What a peer is called where it is installed from."""
        shared = {"list_balancer": "populationsim", "integerizer": "populationsim"}
        return shared.get(self.function, self.function.replace("_", "-"))


@dataclass(frozen=True)
class Section:
    """A table: its cases are a problem and the methods that are run on it."""

    key: str
    title: str
    cases: dict[str, list[Method]]


def _own(name: str, mode: str, **options: Any) -> Method:
    warm = {"n_records": 100} if "n_records" in options else {}
    return Method(name, "methods", "microplex", {"mode": mode, **options}, warm)


def _peer(name: str, function: str, **options: Any) -> Method:
    warm = {"epochs": 3} if "epochs" in options else {}
    return Method(name, "peers", function, options, warm)


def _l0(label: str, epochs: int, penalty: float | None = None) -> Method:
    return _peer(f"l0-python {label}, {epochs} epochs", "l0_python", epochs=epochs, penalty=penalty)


def _microcalibrate(epochs: int, **options: Any) -> Method:
    name = f"microcalibrate {epochs:,} epochs, rate .05" + (", L0 1e-5" if options else "")
    return _peer(name, "microcalibrate", epochs=epochs, learning_rate=0.05, noise_level=0.0, **options)


def _twin(other: Method) -> Method:
    own = _own(f"microplex as many as {other.name}", "records", n_records=0)
    return dataclasses.replace(own, records_as=other.name)


RAKING = _own("microplex raking", "raking")
LINEAR = _own("microplex linear", "linear")
LOGIT = _own("microplex logit in .1 to 12", "logit", bounds=(0.1, 12.0))
MINIMAL = _own("microplex minimal", "minimal")
RELAXED = _own("microplex relaxed", "relax")
WHOLE = _own("microplex whole", "integer")
HIGHS = [
    Method("HiGHS vertex", "methods", "highs_vertex"),
    Method("HiGHS vertex, no presolve", "methods", "highs_vertex", {"presolve": False}),
]
NULLS = [Method("base weights", "methods", "base_weights"), Method("one factor", "methods", "scaled_weights")]
DEFAULT = _peer("microcalibrate, its defaults", "microcalibrate")
RAKE = _peer("balance rake", "balance")
RAKE_TIGHT = _peer("balance rake, 1e-12", "balance", convergence_rate=1e-12, rate_tolerance=0.0)
IPFN = _peer("ipfn", "ipfn")
IPFN_TIGHT = _peer("ipfn, 1e-12", "ipfn", convergence_rate=1e-12, rate_tolerance=0.0)
SAMPLICS = _peer("samplics linear", "samplics")
POPSIM = _peer("PopulationSim ListBalancer", "list_balancer")
ORTOOLS = _peer("PopulationSim integerizer, ortools", "integerizer")
# Its other solver, by cvxpy and GLPK, did not finish popsim_survey in 500 CPU seconds: run it with solver="cvxpy".
PLAIN_500, PLAIN_2000 = _l0("no gates", 500), _l0("no gates", 2_000)

SMALL = [DEFAULT, _microcalibrate(1_000), PLAIN_2000, SAMPLICS, POPSIM]
MARGINS = [RAKE, RAKE_TIGHT, IPFN, IPFN_TIGHT]
LARGE = [DEFAULT, _microcalibrate(500), PLAIN_500]


def _sparse(epochs: int, penalties: tuple[float, ...], **shares: int) -> list[Method]:
    gates = [_l0(f"gates {penalty:g}", epochs, penalty) for penalty in penalties]
    kept = [_own(f"microplex {count:,} records", "records", n_records=count) for count in shares.values()]
    return [MINIMAL, *HIGHS, *kept, *(method for gate in gates for method in (gate, _twin(gate)))]


SECTIONS = [
    Section(
        "reference",
        "R survey 4.1.1's own weights",
        {
            name: [Method(f"microplex {options['mode']}", "methods", "microplex", options)]
            for name, options in CASES.items()
        },
    ),
    Section(
        "dense",
        "All records keep a weight",
        {
            "population": [RAKING, LINEAR, LOGIT, *NULLS, *SMALL],
            "population_margins": [RAKING, *NULLS, *MARGINS, *SMALL],
            "Scat": [RAKING, *NULLS, *MARGINS, *SMALL],
            "S": [RAKING, LINEAR, LOGIT, *NULLS, *SMALL],
            "popsim_survey": [RAKING, *NULLS, POPSIM],
            "CPS": [RAKING, LINEAR, LOGIT, *NULLS, *LARGE],
            "Mcat": [RAKING, *NULLS, RAKE, IPFN],
            "M": [RAKING, LINEAR, LOGIT, *NULLS, *LARGE],
            "L": [RAKING, *NULLS],
        },
    ),
    Section(
        "sparse",
        "Few records keep a weight",
        {
            "population": _sparse(500, (1e-3, 1e-4), a=1_000),
            "S": [*_sparse(2_000, (1e-3, 1e-4), a=1_000), _microcalibrate(1_000, l0_lambda=1e-5)],
            "M": _sparse(500, (1e-2, 1e-3, 1e-4), a=9_920),
        },
    ),
    Section("whole", "Whole weights, from the same calibrated weights", {"popsim_survey": [WHOLE, ORTOOLS]}),
    Section("clash", "Targets that contradict each other", {"M_infeasible": [RELAXED, *NULLS, _microcalibrate(500)]}),
]
QUICK = ("population", "population_margins", "Scat", "popsim_survey")

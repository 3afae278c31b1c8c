"""Regress with effects taken out, by pyfixest: the same numbers on every run, errors as asked for, and no traceback."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from medfloor.errors import UsageError
from medfloor.sparing import ready

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

ERRORS = ("iid", "hc1", "cluster")
"""Same variance everywhere; any variance of each row; rows of a cluster may go together."""

SMALL_SAMPLE = {
    "fixest": {"k_adj": True, "k_fixef": "nonnested", "G_adj": True, "G_df": "min"},
    "full": {"k_adj": True, "k_fixef": "full", "G_adj": True, "G_df": "conventional"},
    "none": {"k_adj": False, "k_fixef": "none", "G_adj": False, "G_df": "conventional"},
}
"""How errors are enlarged in small samples. `fixest`: (N - 1) / (N - K) and G / (G - 1), where effects nested in
clusters do not count in K (fixest, reghdfe). `full`: all effects count in K (Stata's areg, estimatr). `none`: nothing
(Arellano 1987)."""


@dataclass(frozen=True, slots=True, eq=False)
class Regression:
    """Be the coefficients of a regression in the order of `names`, with their covariance and what they stand on.

    `df` are the degrees of freedom of t (None: the normal), `clusters` the number of clusters of each way, `left_out`
    the columns that others or the effects explain wholly, `r2` and `r2_within`
    shares of the outcome's variance (None where not defined; for Poisson both are None).
    `dofs` are degrees of freedom of each coefficient, where they differ.
    """

    names: tuple[str, ...]
    beta: npt.NDArray[np.float64]
    vcov: npt.NDArray[np.float64]
    df: float | None
    rows: int
    clusters: tuple[int, ...]
    left_out: tuple[str, ...]
    residuals: npt.NDArray[np.float64]
    r2: float | None = None
    r2_within: float | None = None
    dofs: tuple[float, ...] = ()

    @property
    def names_without_constant(self) -> tuple[str, ...]:
        """Give the columns that were named, without the intercept of the library."""
        return tuple(one for one in self.names if one != "Intercept")

    def place(self, name: str) -> int:
        """Give the place of a coefficient."""
        return self.names.index(name)

    def se(self, name: str) -> float:
        """Give a standard error; NaN where the variance came out below zero (possible with clusters in two ways)."""
        variance = float(self.vcov[self.place(name), self.place(name)])
        return variance**0.5 if variance > 0 else float("nan")

    def block(self, names: Sequence[str]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Give the coefficients of some names and their covariance."""
        import numpy as np

        at = [self.place(name) for name in names]
        return self.beta[at], self.vcov[np.ix_(at, at)]


def regress(
    frame: pl.DataFrame,
    *,
    y: str,
    x: Sequence[str],
    effects: Sequence[str] = (),
    errors: str = "hc1",
    clusters: Sequence[str] = (),
    weight: str | None = None,
    family: str = "linear",
    small_sample: str = "fixest",
    endogenous: str | None = None,
    instruments: Sequence[str] = (),
) -> Regression:
    """Regress `y` on `x` with `effects` taken out; columns are plain names, complete, effects and clusters as codes.

    A column of `clusters` must not be one of `effects`, even where it holds the same codes: pyfixest 0.60 counts
    degrees of freedom by the order of a Python set when one column is both, so that errors change from run to run.
    With `endogenous`, two-stage least squares: it is instrumented by `instruments`.

    Columns are centred (with effects) and scaled by powers of two before, and the coefficients scaled back: the library
    stops taking effects out, and calls a column explained by others, at absolute tolerances, so that without this its
    answers would depend on units of measurement.

    Raises UsageError one_cluster, not_estimable.
    """
    assert not set(effects) & set(clusters), "a column is effect and cluster at once"
    counts = tuple(frame[name].n_unique() for name in clusters)
    if 1 in counts:
        raise UsageError("one_cluster", "there is one cluster only; errors need many, so name another cluster")
    regressors = [*([endogenous] if endogenous else []), *x]
    linear = family == "linear"
    columns = [*([y] if linear else []), *regressors, *instruments]
    data, scales = _scaled(frame, columns, centre=bool(effects))
    if not linear:
        data[y] = frame[y].to_numpy().copy()
    for name in [*effects, *clusters, *([weight] if weight else [])]:
        data[name] = frame[name].to_numpy().copy()
    formula = " ~ ".join([y, " + ".join(x) if x else "1"])
    formula += f" | {' + '.join(effects)}" if effects else ""
    formula += f" | {endogenous} ~ {' + '.join(instruments)}" if endogenous else ""
    vcov: Any = {"CRV1": " + ".join(clusters)} if errors == "cluster" else errors.upper() if errors == "hc1" else errors
    fit = _pyfixest(formula, data, family, vcov, weight, SMALL_SAMPLE[small_sample])
    return _read(
        fit,
        scales.get(y, 1.0),
        scales,
        regressors,
        family,
        bool(effects),
        frame.height,
        counts,
        data[weight] if weight else None,
    )


def _scaled(frame: pl.DataFrame, columns: Sequence[str], centre: bool) -> tuple[dict[str, Any], dict[str, float]]:
    """Give columns as arrays of about the size of one, and the power of two by which each was divided."""
    import numpy as np

    data: dict[str, Any] = {}
    scales: dict[str, float] = {}
    for name in columns:
        values = frame[name].to_numpy()
        middle = float(values.mean())
        spread = float(np.sqrt(np.mean((values - middle) ** 2)))
        # A spread at the edge of rounding belongs to a constant, which the regression is to leave out.
        constant = spread <= 1e-13 * max(abs(middle), 1e-300)
        scales[name] = 1.0 if constant else float(2.0 ** round(float(np.log2(spread))))
        if centre:
            data[name] = np.zeros_like(values) if constant else (values - middle) / scales[name]
        else:
            data[name] = values / scales[name]
    return data, scales


def _pyfixest(
    formula: str, data: dict[str, Any], family: str, vcov: Any, weight: str | None, ssc: dict[str, Any]
) -> Any:
    import pandas as pd

    pyfixest = ready("pyfixest")
    ready("pyfixest.estimation.api")

    options: dict[str, Any] = {
        "vcov": vcov, "weights": weight, "ssc": pyfixest.ssc(**ssc), "fixef_rm": "none", "fixef_tol": 1e-10,
        "copy_data": False, "store_data": False,
    }  # fmt: skip
    with warnings.catch_warnings():
        # What the library warns of (columns left out, rows separated) is read from its result and told in our words.
        warnings.simplefilter("ignore")
        try:
            if family == "poisson":
                return pyfixest.fepois(
                    formula, pd.DataFrame(data), iwls_tol=1e-10, iwls_maxiter=100, separation_check=[], **options
                )
            return pyfixest.feols(formula, pd.DataFrame(data), **options)
        except Exception as error:
            said = str(error).strip().splitlines()
            raise UsageError(
                "not_estimable",
                f"these columns and rows cannot be estimated ({type(error).__name__}"
                + (f": {said[0][:160]}" if said else "")
                + "); leave out columns that say the same, or name fewer effects",
            ) from None


def _read(
    fit: Any,
    unit: float,
    scales: dict[str, float],
    asked: Sequence[str],
    family: str,
    absorbed: bool,
    height: int,
    clusters: tuple[int, ...],
    weights: npt.NDArray[np.float64] | None,
) -> Regression:
    import numpy as np

    # The library keeps residuals times the root of the weight.
    root = np.ones(height) if weights is None or family == "poisson" else np.sqrt(weights)

    names = tuple(str(one) for one in fit._coefnames)
    back = np.array([unit / scales.get(one, 1.0) for one in names])
    # Rows are complete, and rows that say nothing are left out and counted before: the library must use them all.
    assert int(fit._N) == height, "pyfixest left out rows that were not counted"
    linear = family == "linear"
    return Regression(
        names=names,
        beta=np.asarray(fit._beta_hat, float).ravel() * back,
        vcov=np.asarray(fit._vcov, float) * np.outer(back, back),
        df=float(fit._df_t) if linear else None,
        rows=int(fit._N),
        clusters=clusters,
        left_out=tuple(one for one in asked if one not in names),
        residuals=np.asarray(fit._u_hat, float).ravel() * unit / root,
        r2=_number(fit, "_r2") if linear else None,
        r2_within=_number(fit, "_r2_within") if linear and absorbed else None,
    )


def _number(fit: Any, name: str) -> float | None:
    value = getattr(fit, name, None)
    return None if value is None else float(value)

"""Pictures of a landscape: its spectrum, how flat it is, its sections by lines, planes and curves
between optima, and how a deep linear network learns."""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.inspection.deep_linear import DeepLinearTrace
from skopt_dl.inspection.landscape import Landscape, SpectralDensity
from skopt_dl.inspection.mode_curves import ModeCurve
from skopt_dl.kernels.namespace import to_numpy


class _Display:
    """Data that have been computed, and where they were drawn last.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Of the last `plot`.
    """

    ax_: Any
    figure_: Any

    def _axes(self, ax: Any) -> Any:
        if ax is None:
            try:
                from matplotlib import pyplot
            except ImportError as error:
                raise ImportError(
                    f"{type(self).__name__} draws with matplotlib, which is not installed: "
                    "pip install matplotlib, or read the arrays of the display"
                ) from error
            ax = pyplot.subplots()[1]
        self.ax_, self.figure_ = ax, ax.figure
        return ax


class SpectrumDisplay(_Display):
    """The density of the eigenvalues, smoothed.

    Parameters
    ----------
    density : SpectralDensity
        From `Landscape.spectrum`.
    """

    def __init__(self, density: SpectralDensity) -> None:
        self.density = density

    @classmethod
    def from_landscape(cls, landscape: Landscape, *, ax: Any = None, **kwargs: Any) -> Any:
        """Compute ``landscape.spectrum(**kwargs)`` and draw it."""
        return cls(landscape.spectrum(**kwargs)).plot(ax=ax)

    def curve(self, points: int = 400, width: float = 0.01) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues and density, Gaussian bumps of ``width`` times the spectrum's length."""
        nodes, weights = self.density.nodes, self.density.weights
        length = max(float(nodes[-1] - nodes[0]), 1e-12 * max(1.0, abs(float(nodes[-1]))))
        sigma = width * length
        at = np.linspace(nodes[0] - 4 * sigma, nodes[-1] + 4 * sigma, points)
        bumps = np.exp(-0.5 * ((at[:, None] - nodes) / sigma) ** 2)
        return at, bumps @ weights / (sigma * np.sqrt(2 * np.pi))

    def plot(self, *, ax: Any = None) -> SpectrumDisplay:
        """Draw the density on a logarithmic axis."""
        ax = self._axes(ax)
        at, density = self.curve()
        ax.semilogy(at, np.maximum(density, 1e-12 * density.max()))
        ax.set_xlabel("eigenvalue")
        ax.set_ylabel("density")
        return self


class LossLineDisplay(_Display):
    """The objective along a line.

    Parameters
    ----------
    ts, values : array of shape (k,)
        Places on the line and the objective there.
    label : str, optional
        For the legend.
    """

    def __init__(self, ts: Any, values: Any, label: str | None = None) -> None:
        self.ts, self.values, self.label = np.asarray(ts), np.asarray(values), label

    @classmethod
    def from_landscape(
        cls, landscape: Landscape, d: Any = None, *, ts: Any = None, ax: Any = None
    ) -> Any:
        """Compute and draw the objective along ``d``, a random direction without."""
        ts = np.linspace(-1, 1, 51) if ts is None else ts
        d = landscape.random_direction() if d is None else d
        return cls(ts, landscape.line(d, ts)).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> LossLineDisplay:
        """Draw the curve."""
        ax = self._axes(ax)
        ax.plot(self.ts, self.values, label=self.label)
        ax.set_xlabel("distance along the direction")
        ax.set_ylabel("objective")
        if self.label:
            ax.legend()
        return self


class LossPlaneDisplay(_Display):
    """The objective on a plane, as contours.

    Parameters
    ----------
    ts, us : array of shape (k,) and (m,)
        Places along the two directions.
    values : array of shape (k, m)
        The objective there.
    """

    def __init__(self, ts: Any, us: Any, values: Any) -> None:
        self.ts, self.us, self.values = np.asarray(ts), np.asarray(us), np.asarray(values)

    @classmethod
    def from_landscape(
        cls, landscape: Landscape, d: Any = None, e: Any = None, *, ts: Any = None, ax: Any = None
    ) -> Any:
        """Compute and draw the objective on the plane of ``d`` and ``e``, random ones without."""
        ts = np.linspace(-1, 1, 21) if ts is None else ts
        d = landscape.random_direction() if d is None else d
        e = landscape.random_direction() if e is None else e
        return cls(ts, ts, landscape.plane(d, e, ts, ts)).plot(ax=ax)

    def plot(self, *, ax: Any = None, levels: int = 20) -> LossPlaneDisplay:
        """Draw contours."""
        ax = self._axes(ax)
        drawn = ax.contour(self.ts, self.us, self.values.T, levels=levels)
        ax.clabel(drawn, fontsize="small")
        ax.set_xlabel("first direction")
        ax.set_ylabel("second direction")
        return self


class FlatnessDisplay(_Display):
    """How far the objective rises around a point, and how far one may go for that.

    Parameters
    ----------
    radii, rises : arrays of shape (k,)
        Radii, and the largest rise of the objective within each (`Landscape.sharpness`).
    sides : array of shape (k, size)
        For each rise half the sides of a box in which it is not exceeded (`Landscape.box`), zero
        where nothing rises.
    """

    def __init__(self, radii: Any, rises: Any, sides: Any) -> None:
        self.radii, self.rises, self.sides = map(np.asarray, (radii, rises, sides))

    @classmethod
    def from_landscape(cls, landscape: Landscape, *, radii: Any = None, ax: Any = None) -> Any:
        """Compute and draw both for ``radii``, from 0.001 to 1 without."""
        radii = np.geomspace(1e-3, 1, 7) if radii is None else np.asarray(radii)
        rises = [landscape.sharpness(float(radius)) for radius in radii]
        zero = np.zeros(landscape.problem.size)
        sides = [to_numpy(landscape.box(rise)) if rise > 0 else zero for rise in rises]
        return cls(radii, rises, sides).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> FlatnessDisplay:
        """Draw the rise by the radius, and by half the longest and the middle side of the boxes."""
        ax = self._axes(ax)
        ax.loglog(self.radii, self.rises, "o-", label="within a ball of this radius")
        for what, reduce in (("longest", np.max), ("middle", np.median)):
            ax.loglog(reduce(self.sides, axis=1), self.rises, label=f"in a box, {what} half side")
        ax.set_xlabel("distance from the point")
        ax.set_ylabel("rise of the objective")
        ax.legend()
        return self


class CurvatureDisplay(_Display):
    """The ends of the spectrum: the steepest directions, and the lowest one, that of a saddle.

    Parameters
    ----------
    top : array of shape (k,)
        The largest eigenvalues, the largest first (`Landscape.top`).
    lowest : float
        The least eigenvalue (`Landscape.saddle`).
    trace : float
        The sum of all (`Landscape.trace`).
    """

    def __init__(self, top: Any, lowest: float, trace: float) -> None:
        self.top, self.lowest, self.trace = np.asarray(top), float(lowest), float(trace)

    @classmethod
    def from_landscape(cls, landscape: Landscape, k: int = 5, *, ax: Any = None) -> Any:
        """Compute and draw the ``k`` largest, the least, and the trace."""
        k = min(k, landscape.problem.size)
        return cls(landscape.top(k)[0], landscape.saddle().lowest, landscape.trace()).plot(ax=ax)

    @property
    def share(self) -> float:
        """The part of the trace that the largest eigenvalues have."""
        return float(self.top.sum()) / self.trace if self.trace else float("nan")

    def plot(self, *, ax: Any = None) -> CurvatureDisplay:
        """Draw a bar for each of the largest and one for the least, red where it is negative."""
        ax = self._axes(ax)
        k = len(self.top)
        ax.bar(range(1, k + 1), self.top)
        ax.bar([k + 1], [self.lowest], color="tab:red" if self.lowest < 0 else "tab:gray")
        ax.set_xticks(range(1, k + 2), [*map(str, range(1, k + 1)), "least"])
        ax.axhline(0, linewidth=0.8, color="black")
        ax.set_xlabel("direction")
        ax.set_ylabel("eigenvalue")
        ax.set_title(f"trace {self.trace:.3g}, of which {100 * self.share:.0f} % in {k}")
        return self


class NoiseScaleDisplay(_Display):
    """What larger batches are worth: the longest useful step, by the batch size.

    With the noise scale B a step may have the part :math:`1 / (1 + B / b)` of the length that the
    gradient of all samples bears: below B twice the batch is nearly twice the step, above it hardly
    more.

    Parameters
    ----------
    scale : float
        B (`Landscape.noise_scale`).
    n_samples : int
        The largest batch there is.
    """

    def __init__(self, scale: float, n_samples: int) -> None:
        self.scale, self.n_samples = float(scale), int(n_samples)

    @classmethod
    def from_landscape(cls, landscape: Landscape, *, ax: Any = None, **kwargs: Any) -> Any:
        """Compute ``landscape.noise_scale(**kwargs)`` and draw it."""
        return cls(landscape.noise_scale(**kwargs), landscape.problem.n_samples).plot(ax=ax)

    def curve(self) -> tuple[np.ndarray, np.ndarray]:
        """Batch sizes and the part of the longest step that each of them bears."""
        sizes = np.unique(np.geomspace(1, self.n_samples, 60).round())
        return sizes, 1 / (1 + self.scale / sizes)

    def plot(self, *, ax: Any = None) -> NoiseScaleDisplay:
        """Draw the curve, and where the noise scale is."""
        ax = self._axes(ax)
        sizes, share = self.curve()
        ax.semilogx(sizes, share)
        if np.isfinite(self.scale):
            ax.axvline(self.scale, linestyle="--", label=f"noise scale {self.scale:.3g}")
            ax.legend()
        ax.set_xlabel("batch size")
        ax.set_ylabel("part of the longest step")
        return self


class ModeCurveDisplay(_Display):
    """The objective along a curve between two optima, beside the straight line.

    Parameters
    ----------
    ts : array of shape (k,)
        Times on the curve, from 0 to 1.
    values, straight : arrays of shape (k,)
        The objective on the curve and on the straight line between its ends.
    """

    def __init__(self, ts: Any, values: Any, straight: Any) -> None:
        self.ts, self.values = np.asarray(ts), np.asarray(values)
        self.straight = np.asarray(straight)

    @classmethod
    def from_curve(cls, curve: ModeCurve, *, ts: Any = None, ax: Any = None) -> Any:
        """Compute and draw the objective along ``curve``."""
        ts = np.linspace(0, 1, 61) if ts is None else ts
        return cls(ts, curve.values(ts), curve.straight().values(ts)).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> ModeCurveDisplay:
        """Draw the two."""
        ax = self._axes(ax)
        ax.plot(self.ts, self.straight, linestyle="--", label="straight line")
        ax.plot(self.ts, self.values, label="curve")
        ax.set_xlabel("time from one optimum to the other")
        ax.set_ylabel("objective")
        ax.legend()
        return self


class DeepLinearDisplay(_Display):
    """The singular values of a deep linear network's product, as it learns.

    Parameters
    ----------
    epochs : array of shape (k,)
        When they were looked at.
    singular_values : array of shape (k, r)
        The largest first.
    """

    def __init__(self, epochs: Any, singular_values: Any) -> None:
        self.epochs, self.singular_values = np.asarray(epochs), np.asarray(singular_values)

    @classmethod
    def from_trace(cls, trace: DeepLinearTrace, *, ax: Any = None) -> Any:
        """Draw what an observer has noted."""
        return cls(trace.epochs, trace.singular_values).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> DeepLinearDisplay:
        """Draw a curve for each."""
        ax = self._axes(ax)
        ax.plot(self.epochs, self.singular_values)
        ax.set_xlabel("epoch")
        ax.set_ylabel("singular values of the product")
        return self

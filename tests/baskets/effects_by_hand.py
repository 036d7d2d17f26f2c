"""The posterior of a hierarchical model of three baskets as kernels compute it, and by another order of integration.

The other order: tau by the density of its prior, mu around the effect, the basket's own effect last, on a fine grid.
"""

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from numpy.polynomial.legendre import leggauss
from scipy.stats import halfnorm, norm

from lmd_trialsim.kernel.desk import new_desk
from lmd_trialsim.kernel.jit import canonical, door
from lmd_trialsim.kernel.seams import posterior_moments, posterior_tail, weigh

STEP = 0.04
ALONG = np.arange(-14.0, 14.0, STEP)  # effects, over offsets
Z, OF_Z = hermegauss(40)
OF_Z = OF_Z / OF_Z.sum()


def blurred(function, at, sd):
    """Return the mean of the function under N(at, sd^2)."""
    if sd < 5.0 * STEP:
        return (OF_Z * function(at[..., None] + sd * Z)).sum(axis=-1)
    return (STEP * function(ALONG) * norm.pdf(ALONG, at[..., None], sd)).sum(axis=-1)


def posterior(logs, mean, scale, offsets, bounds, own=None):
    """Return tails (bounds, baskets) and means of the effects of three baskets.

    logs: of each basket, its log likelihood at effects; mean: normal prior of mu, (mean, sd); scale: of the half-normal
    prior of tau; bounds: (bounds, baskets) of the effects; own: (weight of being exchangeable, mean and sd of a
    basket's own effect) or None.
    """
    x, w = leggauss(36)
    tau = 4.0 * scale * (x + 1.0)
    of_tau = 4.0 * scale * w * halfnorm.pdf(tau, scale=scale)
    share, own_mean, own_sd = own or (1.0, 0.0, 1.0)
    best = [logs[k](ALONG + offsets[k]).max() for k in range(3)]

    def likelihood(k):
        return lambda effect: np.exp(logs[k](effect + offsets[k]) - best[k])

    alone = [float(blurred(likelihood(k), np.array(own_mean), own_sd)) for k in range(3)]
    tails, means = np.empty(bounds.shape), np.empty(3)
    for k in range(3):
        cuts = bounds[:, k] - offsets[k]
        edges = np.unique(np.concatenate([np.linspace(-11.0, 11.0, 45), cuts]))
        half, middle = np.diff(edges) / 2.0, (edges[1:] + edges[:-1]) / 2.0
        y, v = leggauss(8)
        effect, weight = (middle[:, None] + half[:, None] * y).ravel(), (half[:, None] * v).ravel()
        density = np.zeros_like(effect)
        for t, mass in zip(tau, of_tau, strict=True):

            def others(mu, k=k, t=t):
                product = norm.pdf(mu, *mean)
                for j in range(3):
                    if j != k:
                        product = product * (share * blurred(likelihood(j), mu, t) + (1.0 - share) * alone[j])
                return product

            density += mass * share * blurred(others, effect, t)
            density += mass * (1.0 - share) * norm.pdf(effect, own_mean, own_sd) * STEP * others(ALONG).sum()
        of_effect = weight * density * likelihood(k)(effect)
        means[k] = (of_effect * (effect + offsets[k])).sum() / of_effect.sum()
        tails[:, k] = [of_effect[effect > cut].sum() / of_effect.sum() for cut in cuts]
    return tails, means


@door
def _ask(model, desk, tails, moments):
    weigh(model, desk)
    for basket in range(tails.shape[1]):
        for bound in range(tails.shape[0]):
            tails[bound, basket] = posterior_tail(model, desk, basket, bound)
        moments[basket, 0], moments[basket, 1] = posterior_moments(model, desk, basket)


def of_kernels(model, scratch, arms, columns):
    """Return tails (2 bounds, baskets) and moments (baskets, 2). columns: of the desk's cells, each (arms, baskets)."""
    desk = new_desk(8, arms, 3, 1, scratch + 1)
    desk.scratch[:] = np.nan  # nothing is left over from before
    desk.scratch[-1] = 7.0
    for name, numbers in columns.items():
        desk.cells[name] = numbers
    tails, moments = np.full((2, 3), np.nan), np.full((3, 2), np.nan)
    _ask(canonical(model), desk, tails, moments)
    assert desk.scratch[-1] == 7.0, "the model works beyond the scratch that it asks for"
    return tails, moments

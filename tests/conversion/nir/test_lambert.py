"""Lambert's W, which one dialect of NIR needs, against SciPy's."""

from __future__ import annotations

import numpy as np
from scipy.special import lambertw

from sdcl_neuro.conversion.sources.nir.dialects import lambert_w


def test_w_agrees_with_scipy_and_with_its_equation() -> None:
    values = np.concatenate([np.geomspace(1e-12, 1e12, 4000), np.linspace(-0.3, 3, 1000)])
    found = lambert_w(values)
    expected = lambertw(values).real
    assert np.allclose(found, expected, rtol=4e-15, atol=1e-16)
    assert np.allclose(found * np.exp(found), values, rtol=1e-13, atol=1e-16)


def test_w_has_no_real_value_below_its_branch_point() -> None:
    assert np.isnan(lambert_w(np.array([-0.5, np.nan]))).all()

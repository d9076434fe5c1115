"""What hybrid inference needs before it begins: a backend and a device that are there."""

from __future__ import annotations

from sdcl_neuro.conversion.backends.table import find_backend
from sdcl_neuro.devices import named_device
from sdcl_neuro.hybrid.frame_branch.ahead import check_kind


def check_means(backend: str, device: str | None, dense_backend: str | None = None) -> None:
    """See that the event branch's backend, the device and the dense side's backend are there.

    Raises:
        InputError: an unknown name, a dense backend for another device.
        EnvironmentFault: a backend that is not installed, a GPU that is not there.
    """
    find_backend(backend).require()
    check_kind(dense_backend or "eager", named_device(device or "cpu"))

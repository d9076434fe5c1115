"""Many cameras, one gallery, one page: `sdcl-neuro serve`.

Needs the extras ``reid`` and ``serve``.
"""

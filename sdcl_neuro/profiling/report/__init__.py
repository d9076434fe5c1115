"""One-file HTML reports from small blocks: pure functions from values to markup.

``page(title, [Section(...), ...])`` gives the text of a page. Everything a user wrote is escaped.
"""

from .badges import badge
from .charts import IntervalRow, bar_chart, interval_chart, stacked_bars
from .fit_page import fit_page, fit_section, limits_section
from .fits import fits_section
from .glossary import glossary_section
from .images import data_uri, event_image, event_legend, on_white, pair, picture, pictures
from .page import Headline, Section, join, page
from .placement_chart import placement_chart
from .profile_page import (
    activity_section,
    constants_section,
    dense_section,
    energy_section,
    latency_section,
    profile_page,
)
from .ranked import Match, RankedRow, ranked_lists
from .raster import raster, timeline
from .tables import (
    CertificateRow,
    Number,
    Unknown,
    bullets,
    certificate_table,
    heading,
    note,
    paragraph,
    table,
    verdict,
)

__all__ = [
    "CertificateRow",
    "Headline",
    "IntervalRow",
    "Match",
    "Number",
    "RankedRow",
    "Section",
    "Unknown",
    "activity_section",
    "badge",
    "bar_chart",
    "bullets",
    "certificate_table",
    "constants_section",
    "data_uri",
    "dense_section",
    "energy_section",
    "event_image",
    "event_legend",
    "fit_page",
    "fit_section",
    "fits_section",
    "glossary_section",
    "heading",
    "interval_chart",
    "join",
    "latency_section",
    "limits_section",
    "note",
    "on_white",
    "page",
    "pair",
    "paragraph",
    "picture",
    "pictures",
    "placement_chart",
    "profile_page",
    "ranked_lists",
    "raster",
    "stacked_bars",
    "table",
    "timeline",
    "verdict",
]

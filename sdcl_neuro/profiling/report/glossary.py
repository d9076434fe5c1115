"""The words of a report, each in one sentence."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

from .page import Section

WORDS = {
    "activation sparsity": "share of neuron steps without a spike",
    "certificate": "the outcome of comparing backends, bound to the files, the libraries and their "
    "versions",
    "core, chip": "a chip has many cores; a core holds some neurons with their weights and states",
    "dense twin": "the same layers as an ordinary network of 8-bit integers: every synapse is "
    "used once a sample",
    "emulated": "counted in the integer engine or in Lava",
    "event": "a pixel of an event camera that became brighter (ON) or darker (OFF)",
    "exact pair": "two backends that compute the same integers, so that every spike must be equal",
    "interval": "lowest to highest value that the published constants allow",
    "measured": "a clock or an energy counter saw it",
    "modelled": "counts times published constants",
    "neuron step": "one neuron at one time step",
    "spike": "what a neuron sends when its membrane reaches the threshold",
    "synaptic operation (synop)": "one spike delivered to one existing synapse",
    "synaptic sparsity": "share of synapses that receive nothing in a mean time step",
    "tracklet": "the crops of one person in consecutive frames, with the events between them",
    "update": "one neuron's state computed for one time step",
}
REID = {
    "cosine": "similarity of two embeddings: 1 for the same direction, 0 for unrelated ones",
    "embedding": "the vector by which persons are compared",
    "gallery, query": "the known tracklets, and the one that is looked for among them",
    "mAP": "mean average precision: how early all right entries stand in a ranked list, at best "
    "100 %",
    "rank-k": "share of queries with a right entry among the first k",
}


def glossary_section(words: Iterable[dict[str, str]] = (WORDS,)) -> Section:
    """Return terms in alphabetical order."""
    together = {word: said for part in words for word, said in part.items()}
    items = Markup("\n").join(
        Markup("<dt>{}</dt><dd>{}.</dd>").format(word, together[word])
        for word in sorted(together, key=str.lower)
    )
    body = Markup('<dl class="glossary">{}</dl>').format(items)
    return Section("Glossary", body, "The words of this page.")

"""Schemas of the JSON that the verbs write, one file a name and version, and checks by them.

The files are JSON Schema (draft 2020-12).
"""

from .library import OWN_FILES, SCHEMAS, check_document, load_schema
from .validation import SchemaFault

__all__ = ["OWN_FILES", "SCHEMAS", "SchemaFault", "check_document", "load_schema"]

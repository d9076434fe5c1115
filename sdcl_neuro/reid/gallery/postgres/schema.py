"""Tables of a gallery in PostgreSQL, by version."""

from __future__ import annotations

_FIRST = """
CREATE TABLE {schema}.gallery (
    one boolean PRIMARY KEY DEFAULT true CHECK (one), version integer NOT NULL,
    model text NOT NULL, dimension integer NOT NULL);
CREATE TABLE {schema}.entry (
    id bigserial PRIMARY KEY, embedding vector({dimension}) NOT NULL, label text,
    camera text, time_us bigint, source text, key text UNIQUE, metadata json NOT NULL,
    enrolled_us bigint NOT NULL);
CREATE INDEX entry_label ON {schema}.entry (label);
CREATE INDEX entry_camera ON {schema}.entry (camera);
CREATE INDEX entry_time ON {schema}.entry (time_us);
CREATE INDEX entry_enrolled ON {schema}.entry (enrolled_us);
CREATE TABLE {schema}.done (
    token uuid PRIMARY KEY, answer json NOT NULL, time_us bigint NOT NULL);
"""
_SECOND = """
ALTER TABLE {schema}.gallery ADD COLUMN retain_us bigint;
ALTER TABLE {schema}.entry ADD COLUMN crop bytea;
CREATE TABLE {schema}.audit (
    id bigserial PRIMARY KEY, time_us bigint NOT NULL, "user" text NOT NULL, action text NOT NULL,
    entries bigint NOT NULL, detail json NOT NULL);
"""
MIGRATIONS = (_FIRST, _SECOND)
"""What brings a gallery from each version to the next. ``done`` holds the answers of changes that
were committed, so that a change whose connection was lost is known to have happened or not."""
HNSW_M = 16
"""Neighbours of an entry on each layer of the index; pgvector's default (its README, "HNSW")."""
HNSW = f"""
CREATE INDEX IF NOT EXISTS entry_hnsw ON {{schema}}.entry
    USING hnsw (embedding vector_cosine_ops) WITH (m = {HNSW_M}, ef_construction = 128)
"""
"""ef_construction is twice pgvector's default (its README, "HNSW")."""
LARGEST_HNSW = 2000
"""Dimensions of a ``vector`` that pgvector can index (pgvector README, "HNSW")."""

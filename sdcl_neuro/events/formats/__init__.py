"""Readers of event files: one module a format, one row of `table.KINDS` each.

A format's module offers ``read(path, options, part_events)``, which yields `columns.Columns` in the
file's order, and, where a file may hold several recordings, ``streams(path)``.
"""

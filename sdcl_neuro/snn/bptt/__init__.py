"""Backward through time, compiled: what `EventBranch` trains with, in float and in integers."""

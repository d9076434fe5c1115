"""The Re-ID laboratory: data sets, training, evaluation, gallery."""

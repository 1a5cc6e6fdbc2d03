"""Corpora, tokenizers, encoded sequences and batches."""

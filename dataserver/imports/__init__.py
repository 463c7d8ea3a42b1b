"""Files into tables: read records with their place in the file, infer columns, write batches that resume."""

from __future__ import annotations

"""Load on a running server: scenarios for Locust, and a comparison of two runs as one HTML report.

Nothing here imports the server: it speaks HTTP to it and reads its `/metrics`.
"""

from __future__ import annotations

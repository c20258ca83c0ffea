"""Series that something else has measured: files of other tools, and Prometheus."""

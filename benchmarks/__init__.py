"""Measurements that `make bench` repeats. Timings live here and in no test."""

"""The tests of a suite, each repeated, in words and for programs."""

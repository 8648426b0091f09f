# Targets of tests and demo; included by the Makefile.

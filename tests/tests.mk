# Targets of tests and demo; included by the Makefile.

.PHONY: deps
deps:
	tests/deps.sh test

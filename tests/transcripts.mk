# Byte scripts against the binary and against the installed memcached, compared.
.PHONY: transcripts
transcripts: $(BINARY) ## byte scripts and exact replies, against memcached's
	tests/transcripts/play.py --server $(BINARY)

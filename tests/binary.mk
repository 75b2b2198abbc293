# The binary protocol, beside the installed memcached.
.PHONY: binary-check
binary-check: $(BINARY) ## every opcode and malformed frame, in memcached's bytes and counts; SANITIZE=address too
	tests/binary/play.py --server $(BINARY)

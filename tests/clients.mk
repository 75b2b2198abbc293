# Real clients against Vitrine and memcached side by side.
.PHONY: clients-check
clients-check: $(BINARY) ## real clients: pymemcache, python-memcached, pylibmc, libmemcached-tools
	/usr/bin/python3 tests/clients/run.py --vitrine $(BINARY)

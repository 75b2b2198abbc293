# Real clients against Vitrine and memcached side by side.
.PHONY: clients-check
clients-check: $(BINARY) ## real clients: pymemcache, python-memcached, pylibmc, libmemcached-tools
	/usr/bin/python3 tests/clients/run.py --vitrine $(BINARY)

# The matrix has every client that is told of in tests/clients/matrix.py, and installs them itself (as root). VITRINE names
# another program; ONLY=php,java runs those alone in whose 'NAME (PROTOCOL)' one of the words stands.
CLIENT_MODULES := tests/clients/node_modules/.package-lock.json

.PHONY: client-packages
client-packages:
	tools/install-deps.sh --clients

$(CLIENT_MODULES): tests/clients/package.json tests/clients/package-lock.json | client-packages
	tools/npm-ci.sh tests/clients

.PHONY: matrix
matrix: $(BINARY) client-packages $(CLIENT_MODULES) ## clients of many languages through their whole interfaces, beside memcached
	/usr/bin/python3 tests/clients/matrix.py --vitrine "$${VITRINE:-$(BINARY)}" --only "$(ONLY)"
